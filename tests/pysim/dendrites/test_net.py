"""Nets of dendritic neurons: what is refused, their file, and the sounds they are shown."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.dendrites.file import decode, encode, load, save
from spikeloop.pysim.dendrites.net import DendriticNet, sigmoid_table
from spikeloop.pysim.dendrites.sounds import SHAPE, scene, sounds, thresholds
from spikeloop.pysim.dendrites.state import DendriticState, fresh, seeds
from tests.campaigns.fuzz.mutate import flipped
from tests.house.test_docs import small_network


@pytest.fixture
def net() -> DendriticNet:
    return DendriticNet.make({"inputs": 12, "neurons": 3})


@pytest.fixture
def state(net: DendriticNet) -> DendriticState:
    return fresh(net, 7)


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("inputs", 7, r"setting inputs must be in 8\.\.2048, not 7"),
        ("neurons", 17, r"setting neurons must be in 2\.\.16, not 17"),
        ("decay", 0, r"setting decay must be in 1\.\.31, not 0"),
        ("warm_up", 65535, r"setting warm_up must be in 0\.\.65534, not 65535"),
        ("rate", True, r"setting rate must be in 0\.\.262143, not True"),
        ("threshold", 1, "setting of dendritic neurons must be one of inputs, .*, not 'threshold'"),
    ],
)
def test_settings_out_of_range(net: DendriticNet, setting: str, value: int, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        net.with_(**{setting: value})


def test_stimuli_and_tables_that_do_not_fit(net: DendriticNet) -> None:
    for wrong, sentence in (
        (np.zeros((1, 11), int), "inputs of a stimulus must be 12, the net's, not 11"),
        (np.full((1, 12), 65536), r"thresholds of a stimulus must be in 0\.\.65535, not 65536"),
        (np.full((1, 12), -1), r"thresholds of a stimulus must be in 0\.\.65535, not -1"),
        (np.zeros((1, 12)), "stimuli must be integers"),
        (np.zeros((65, 12), int), r"number of stimuli must be in 1\.\.64, not 65"),
    ):
        with pytest.raises(InputError, match=sentence):
            net.check_stimuli(wrong)
    with pytest.raises(InputError, match=r"table must be in 0\.\.65535, not 65536"):
        DendriticNet.make({}, np.full(1024, 65536))


def test_states_that_no_net_has(net: DendriticNet, state: DendriticState) -> None:
    inhibition = np.full((3, 3), 9)
    units = state.units.copy()
    units[-1, 2] = 0
    for change, sentence in (
        ({"weights": state.weights * 0 + (1 << 31)}, "weights of the state must be in -2147483648"),
        ({"weights": state.weights[:, :-1]}, r"weights of the state must be integers of shape"),
        ({"inhibition": inhibition}, "inhibition of a neuron by itself must be 0, not 9"),
        ({"inhibition": inhibition * 9999}, "inhibition must be at most g_max, 52428, not 89991"),
        ({"units": units}, "rs of the state must not be 0: a generator stays there"),
        ({"rin": 0}, r"generator rin of the state must be in 1\.\."),
        ({"age": 65536}, r"age of the state must be in 0\.\.65535, not 65536"),
    ):
        with pytest.raises(InputError, match=sentence):
            replace(state, **change).check(net)


def test_a_file_is_the_same_net(net: DendriticNet, state: DendriticState, tmp_path: Path) -> None:
    stimuli = np.arange(24).reshape(2, 12)
    read = load(save(tmp_path / "net", net.named(of="a test"), stimuli, state))
    assert read[0].settings == net.settings and read[0].metadata == {"of": "a test"}
    assert np.array_equal(read[1], stimuli) and read[2].same(state)
    (tmp_path / "net").write_bytes(encode(net, stimuli, state)[:-9])
    with pytest.raises(InputError, match="must be a safetensors file written by spikeloop"):
        load(tmp_path / "net")
    with pytest.raises(InputError, match="must be one of dendritic neurons, not a network"):
        load(small_network(states=False).save(tmp_path / "network"))
    with pytest.raises(InputError, match=r"file of dendritic neurons .* is missing"):
        load(tmp_path / "nothing")


def test_the_table_is_a_sigmoid() -> None:
    table = sigmoid_table()
    assert (np.diff(table) >= 0).all() and table[0] == 3 and table[-1] == 65532
    assert table[511] + table[512] == 65535  # its middle is 0.5


def test_seeds_are_splitmix64() -> None:
    words = seeds(1234567)
    assert [next(words) for _ in range(2)] == [6457827717110365317, 3203168211198807973]


def test_sounds_have_the_published_statistics() -> None:
    made = sounds()
    assert made.shape == (5, 10, *SHAPE)
    inner = made[..., 1:-1]
    assert inner.mean() == pytest.approx(-54, abs=2) and inner.std() == pytest.approx(12, abs=1.5)
    assert made[..., [0, -1]].mean() - inner.mean() == pytest.approx(-12, abs=1.5)
    assert np.array_equal(made, sounds()) and not np.array_equal(made, sounds(124))


def test_a_scene_is_a_target_with_maskers_and_probes() -> None:
    made = sounds()
    found = scene(made, 3, np.random.default_rng(4))
    flat = made.reshape(50, *SHAPE)
    assert len(set(found.chosen)) == found.sounds == 4 and found.mixtures.shape == (3, 1353)
    low, high = found.probes.min(), found.probes.max()
    assert (low, high) == (0, 1) == (found.mixtures.min(), found.mixtures.max())
    sums = [flat[found.chosen[0]] + flat[masker] for masker in found.chosen[1:]]
    order = np.argsort(np.concatenate([x.reshape(-1) for x in sums]))
    assert np.array_equal(np.argsort(found.mixtures.reshape(-1)), order)
    for sound, probe in zip(found.probes[:4], found.probes[4:], strict=True):
        same = (sound == probe).reshape(SHAPE).all(0)
        assert same.sum() == 4 and np.flatnonzero(same).tolist() == list(
            range(int(same.argmax()), int(same.argmax()) + 4)
        )
    stimuli = found.stimuli()
    assert stimuli.shape == (11, 1353) and stimuli.max() == 655 and stimuli.min() == 0
    assert thresholds(np.array([0.5])).tolist() == [328]


def test_scenes_that_sounds_do_not_give() -> None:
    rng, few = np.random.default_rng(0), sounds()[:2, :2]
    with pytest.raises(InputError, match=r"mixtures of 4 sounds must be in 1\.\.3, not 4"):
        scene(few, 4, rng)
    with pytest.raises(InputError, match=r"mixtures of 50 sounds must be in 1\.\.20, not 0"):
        scene(sounds(), 0, rng)
    with pytest.raises(InputError, match="must leave one for an incorrect probe, not all 2"):
        scene(few, 3, rng)
    with pytest.raises(InputError, match=r"sounds must be numbers \[class, sound, band, frame\]"):
        scene(few[0], 1, rng)
    with pytest.raises(InputError, match="sounds must be finite numbers, not NaN or infinity"):
        scene(few * np.nan, 1, rng)
    with pytest.raises(InputError, match="sounds must differ somewhere, not be 0 everywhere"):
        scene(np.zeros_like(few), 1, rng)
    with pytest.raises(InputError, match=r"bands times frames of a sound must be in 8\.\.2048"):
        scene(np.zeros((2, 2, 128, 128)), 1, rng)


def test_a_flipped_bit_is_refused(
    net: DendriticNet, state: DendriticState, rng: np.random.Generator
) -> None:
    data = encode(net, np.arange(24).reshape(2, 12), state)
    for bit in rng.integers(0, 8 * len(data), 300).tolist():
        with pytest.raises(InputError):
            decode(flipped(data, bit), "flipped")
