"""Nets of oscillators: what is refused, their file, and the mapping of patterns."""

import numpy as np
import pytest

from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.onn.params import OnnParams
from spikeloop.pysim.onn.zeta import calibrate
from spikeloop.pysim.oscillators.circuit import Step
from spikeloop.pysim.oscillators.digits import digits, fuzzy
from spikeloop.pysim.oscillators.file import decode, encode
from spikeloop.pysim.oscillators.hebb import (
    FACTOR,
    check_patterns,
    hebb,
    inputs,
    phase_net,
    relaxation_net,
    resistances,
)
from spikeloop.pysim.oscillators.net import OnnNet
from tests.campaigns.fuzz.mutate import flipped
from tests.house.test_docs import small_network


@pytest.fixture(scope="module")
def net() -> OnnNet:
    return relaxation_net(digits(), calibrate(Step()))


def changed(net: OnnNet, i: int, j: int, value: int) -> np.ndarray:
    couplings = net.couplings.copy()
    couplings[i, j] = value
    return couplings


@pytest.mark.parametrize(
    ("i", "j", "value", "sentence"),
    [
        (0, 1, 4096, r"couplings of 12 bits must be in 0\.\.4095, not 4096"),
        (0, 1, 7, r"couplings must be symmetric, not 7 from 1 to 0 and \d+ back"),
        (3, 3, 1, "couplings of an oscillator with itself must be 0, not 1"),
    ],
)
def test_couplings_that_no_net_has(net: OnnNet, i: int, j: int, value: int, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        OnnNet.make("relaxation", changed(net, i, j, value), net.formats, net.settings)


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("v_low", 25_165_824, "threshold v_low must be below v_high, 25165824, not 25165824"),
        ("v_high", 1 << 26, r"threshold v_high must be in 0\.\.67108863, not 67108864"),
        ("sh", 41, r"setting sh must be in 1\.\.40, not 41"),
        ("reference", 60, r"setting reference must be in 0\.\.59, not 60"),
        ("b_met", (1 << 24) - 1, "sum of an oscillator's couplings and its rate must be below"),
        ("steps_max", 0, r"setting steps_max must be in 1\.\.16777215, not 0"),
    ],
)
def test_settings_out_of_range(net: OnnNet, setting: str, value: int, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        net.with_(**{setting: value})


def test_a_macro_refuses_what_does_not_fit(net: OnnNet) -> None:
    with pytest.raises(InputError, match="oscillators of the net must be 9 at most"):
        OnnParams(oscillators=9, lanes=9).check(net)
    with pytest.raises(InputError, match="v_frac of the net must be 20, the macro's, not 24"):
        OnnParams(v_frac=20).check(net)
    with pytest.raises(InputError, match="cell of the net must be 'phase', the macro's"):
        OnnParams(cell="phase").check(net)
    with pytest.raises(InputError, match=r"oscillators must be in 2\.\.256, not 257"):
        OnnParams(oscillators=257)


def test_a_coupling_that_needs_more_bits_is_no_clip() -> None:
    ohm = np.array([[np.inf, 12e3], [12e3, np.inf]])
    with pytest.raises(InputError, match="couplings must be below 4096"):
        Step().couplings(ohm, 28)
    assert Step().couplings(ohm, Step().fraction(12e3)).max() < 4096
    with pytest.raises(InputError, match="smallest coupling resistance must be larger"):
        Step().fraction(0.1)


def test_inputs_out_of_range(net: OnnNet) -> None:
    with pytest.raises(InputError, match=r"input of an oscillator must be in 0\.\.65535"):
        net.begin(np.full(60, 70_000))
    with pytest.raises(InputError, match="input of 60 oscillators must be integers of shape"):
        net.begin(np.zeros(59, int))
    with pytest.raises(InputError, match=r"pixels must be in -1\.\.1, not 1\.5"):
        inputs(net, np.full(60, 1.5))
    with pytest.raises(InputError, match="pixels of patterns must be -1 or 1, not 0"):
        check_patterns(np.zeros((2, 9), int))


def test_a_file_is_the_same_net(net: OnnNet, tmp_path: object) -> None:
    for one in (net, phase_net(digits())):
        read = OnnNet.load(one.save(tmp_path / "net"))
        assert encode(read) == encode(one) and read.metadata == one.metadata
    (tmp_path / "net").write_bytes(encode(net)[:-9])
    with pytest.raises(InputError, match="must be a safetensors file written by spikeloop"):
        OnnNet.load(tmp_path / "net")
    with pytest.raises(InputError, match="must be a net of oscillators, not a network"):
        OnnNet.load(small_network(states=False).save(tmp_path / "network"))
    with pytest.raises(InputError, match=r"file of oscillators .* is missing"):
        OnnNet.load(tmp_path / "nothing")


def test_digits_are_balanced_and_stable() -> None:
    patterns = digits()
    overlaps = patterns @ patterns.T / 60 - np.eye(6)
    assert np.abs(overlaps).max() <= 0.101
    assert ((patterns < 0).sum(1) >= 27).all() and ((patterns < 0).sum(1) <= 33).all()
    assert (patterns * (patterns @ hebb(patterns))).min() > 0.66


def test_resistances_are_those_of_the_specification(net: OnnNet) -> None:
    """718 to 796 kilo-ohm, a tenth apart, 1.5 to 2 % between neighbours (the paper: 1.7 %)."""
    ohm = resistances(hebb(digits()), calibrate(Step()), 1.875, 1.0)
    levels = np.unique(np.round(ohm[np.isfinite(ohm)], 3))
    assert 715e3 < levels[0] < 722e3 and levels[-1] / levels[0] == pytest.approx(1.109, abs=0.003)
    steps = levels[1:] / levels[:-1] - 1
    assert (steps > 0.013).all() and (steps < 0.022).all()
    scaled = resistances(hebb(digits()), calibrate(Step()), 1.875, FACTOR)
    assert scaled[0, 1] == pytest.approx(1.08 * ohm[0, 1])


def test_fuzzy_pixels_are_as_many_as_asked(rng: np.random.Generator) -> None:
    for count in (0, 1, 12, 60):
        pixels = fuzzy(digits()[0], count, rng)
        assert (np.abs(pixels) <= 1).all() and (pixels != digits()[0]).sum() == count


def test_a_flipped_bit_is_refused(net: OnnNet, rng: np.random.Generator) -> None:
    data = encode(net)
    for bit in rng.integers(0, 8 * len(data), 300).tolist():
        with pytest.raises(InputError):
            decode(flipped(data, bit), "flipped")
