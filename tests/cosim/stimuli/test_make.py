"""Stimuli out of users' own data, against the definition written out; what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from spikeloop.cosim.stimuli.make import from_files, stimulus_of
from spikeloop.golden.interchange.modules.grey import Grey
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.elements import Edge, Input, Population
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus

STEPS = 5


def network(size: int = 12, **metadata: Any) -> Network:
    return Network(
        name="net",
        inputs=(Input(name="x", size=size),),
        populations=(Population.make("out", 3, v_th=2),),
        edges=(Edge(source="x", target="out", weights=np.ones((size, 3), np.int32)),),
        steps=STEPS,
        output="out",
        metadata=metadata,
    )


def dense(net: Network, stimulus: Stimulus) -> np.ndarray:
    return stimulus.dense(net)["x"]


@pytest.mark.parametrize("dtype", [np.uint8, bool, np.int64, np.float32])
@pytest.mark.parametrize("form", ["npy", "npz", "npz with labels"])
def test_dense_spikes_of_any_number_type(
    form: str, dtype: type, tmp_path: Path, rng: np.random.Generator
) -> None:
    spikes = (rng.random((6, STEPS, 3, 4)) < 0.5).astype(dtype)
    labels = rng.integers(0, 3, 6)
    if form == "npy":
        np.save(tmp_path / "x.npy", spikes)
    else:
        more = {"labels": labels} if "labels" in form else {}
        np.savez(tmp_path / "x.npz", anything=spikes, **more)
    net = network()
    made = from_files(net, [tmp_path / f"x.{form[:3]}"], samples=4).stimulus
    assert np.array_equal(dense(net, made), spikes[:4].reshape(4, STEPS, 12))
    if "labels" in form:
        assert made.labels is not None and np.array_equal(made.labels, labels[:4])


def test_grey_values_become_planes(tmp_path: Path, rng: np.random.Generator) -> None:
    """Bit by bit against the definition, for floats and for pixels 0..255."""
    net = network(4 * 6, grey={"bits": 4, "low": 0.0, "high": 1.0})
    pixels = rng.integers(0, 256, (3, 2, 3), dtype=np.uint8)
    for name, values in (("pixels", pixels), ("floats", pixels / 255)):
        np.save(tmp_path / f"{name}.npy", values)
        got = dense(net, from_files(net, [tmp_path / f"{name}.npy"]).stimulus)
        for sample in range(3):
            for pixel in range(6):
                level = int(pixels[sample].flat[pixel] / 255 * 15 + 0.5)
                for plane in range(4):
                    bit = level >> plane & 1
                    assert (got[sample, :, plane * 6 + pixel] == bit).all()


@pytest.mark.parametrize("structured", [True, False])
def test_events_are_binned_from_the_first(structured: bool, tmp_path: Path) -> None:
    net = network(2 * 2 * 3, shapes={"x": [2, 2, 3]})
    rows = [
        (100, 0, 0, 0),
        (109, 2, 1, 1),
        (110, 2, 1, 1),
        (119, 2, 1, 1),
        (131, 1, 0, 1),
        (200, 0, 0, 0),
    ]
    if structured:
        kind = [("t", "i8"), ("x", "i2"), ("y", "i2"), ("p", "i1")]
        events = np.array(rows, dtype=kind)
    else:
        events = np.array(rows, np.float64)
    np.save(tmp_path / "a.npy", events)
    np.save(tmp_path / "b.npy", events[:1])
    made = from_files(net, [tmp_path / "a.npy", tmp_path / "b.npy"], width=10.0)
    want = np.zeros((2, STEPS, 2, 2, 3), np.uint8)
    want[:, 0, 0, 0, 0] = 1
    want[0, 0, 1, 1, 2] = want[0, 1, 1, 1, 2] = want[0, 3, 1, 0, 1] = 1
    assert np.array_equal(dense(net, made.stimulus), want.reshape(2, STEPS, 12))
    assert [text.split()[0] for text in made.said] == ["1", "1"]  # one merged, one too late


def test_spike_times_of_hdf5(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py", reason="package h5py is not installed: pip install h5py")
    with h5py.File(tmp_path / "shd.h5", "w") as file:
        kinds = h5py.vlen_dtype(np.float32), h5py.vlen_dtype(np.int64)
        times = file.create_dataset("spikes/times", (2,), kinds[0])
        units = file.create_dataset("spikes/units", (2,), kinds[1])
        times[0], units[0] = [0.001, 0.012, 0.0121, 0.9], [3, 4, 4, 5]
        times[1], units[1] = [0.049], [11]
        file["labels"] = [2, 0]
    net = network()
    made = from_files(net, [tmp_path / "shd.h5"], width=0.01)
    want = np.zeros((2, STEPS, 12), np.uint8)
    want[0, 0, 3] = want[0, 1, 4] = want[1, 4, 11] = 1
    assert np.array_equal(dense(net, made.stimulus), want)
    assert made.stimulus.labels is not None and made.stimulus.labels.tolist() == [2, 0]


def test_a_data_loader_is_a_stimulus(rng: np.random.Generator) -> None:
    spikes = torch.as_tensor((rng.random((7, STEPS, 12)) < 0.5).astype(np.float32))
    labels = torch.arange(7) % 3
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(spikes, labels), batch_size=3
    )
    net = network()
    made = stimulus_of(net, loader, samples=5)
    assert np.array_equal(dense(net, made), spikes[:5].numpy())
    assert made.labels is not None and made.labels.tolist() == [0, 1, 2, 0, 1]
    grey = network(48, grey={"bits": 4, "low": -1.0, "high": 1.0})
    values = torch.rand(7, 3, 4) * 2 - 1
    levels = Grey(4, -1.0, 1.0).levels(values.reshape(7, -1).numpy())
    want = np.repeat(Grey(4).planes(levels)[:, None], STEPS, axis=1)
    assert np.array_equal(dense(grey, stimulus_of(grey, [values])), want)


SOUND = [("t", "i8"), ("x", "i8"), ("p", "i8")]
CAMERA = [("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "?")]


@pytest.mark.parametrize(
    ("shape", "events", "spikes"),
    [
        ((12,), np.array([(0, 3, 1), (25_000, 4, 1)], SOUND), [(0, 3), (2, 4)]),
        ((2, 3, 2), np.array([(1, 0, 5, 1), (0, 2, 40_005, 0)], CAMERA), [(0, 7), (4, 4)]),
    ],
    ids=["sound", "camera"],
)
def test_events_with_labels_are_a_stimulus(
    shape: tuple[int, ...], events: np.ndarray, spikes: list[tuple[int, int]]
) -> None:
    """As the data sets of tonic yield them: a sample each; a camera's line is (p, y, x)."""
    net = network(shapes={"x": shape})
    made = stimulus_of(net, [(events, 2), (events[:1], np.int64(0))], width=10_000)
    want = np.zeros((2, STEPS, 12), np.uint8)
    for step, line in spikes:
        want[0, step, line] = 1
    want[1, 0, spikes[0][1]] = 1
    assert np.array_equal(dense(net, made), want)
    assert made.labels is not None and made.labels.tolist() == [2, 0]
    events["x"] += 12
    with pytest.raises(InputError, match=r"x of the events must be in 0\.\..*, not"):
        stimulus_of(net, [(events, 2)], width=10_000)
    with pytest.raises(InputError, match="width of a step is missing"):
        stimulus_of(net, [(events, 2)])


def test_four_grey_values_are_no_events(tmp_path: Path, rng: np.random.Generator) -> None:
    net = network(4 * 2, grey={"bits": 2, "low": 0.0, "high": 1.0})
    values = rng.integers(0, 4, (6, 4))
    np.save(tmp_path / "x.npy", values / 3)
    planes = np.concatenate([values & 1, values >> 1], axis=1)
    got = dense(net, from_files(net, [tmp_path / "x.npy"]).stimulus)
    assert np.array_equal(got, np.repeat(planes[:, None], STEPS, axis=1))
    with pytest.raises(InputError, match=r"one array of them, not several files"):
        from_files(net, [tmp_path / "x.npy"] * 2, width=1.0)
    np.save(tmp_path / "e.npy", np.zeros(3, [(name, "i4") for name in "txyp"]))
    with pytest.raises(InputError, match=r"one array of them, not events"):
        from_files(net, [tmp_path / "e.npy"], width=1.0)


@pytest.mark.parametrize(
    ("batches", "samples", "words"),
    [
        ([], None, "data must hold samples, not none"),
        ([np.zeros((0, STEPS, 12))], None, "data must hold samples, not none"),
        ([np.zeros((3, STEPS, 12))], 0, "samples must be in 1..2147483648, not 0"),
        ([np.zeros((3, STEPS, 12))], -1, "samples must be in 1..2147483648, not -1"),
        ([np.zeros((3, STEPS, 12))], 2.0, "samples must be in 1..2147483648, not 2.0"),
        ([np.zeros((3, STEPS, 12))], 4, r"samples must be in 1..3 \(.*\), not 4"),
        ([(np.zeros((1, STEPS, 12)), 2)], None, r"one a sample, 1, not of shape \(\)"),
        ([(np.zeros((2, STEPS, 12)), [1, 2, 0])], None, r"one a sample, 2, not of shape \(3,\)"),
        ([[np.zeros(2), np.zeros(3), 0]], None, "not lists of several lengths"),
    ],
)
def test_bad_batches_are_one_sentence(
    batches: list[Any], samples: Any, words: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=words):
        stimulus_of(network(), batches, samples=samples)


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("none", {"array": np.zeros((0, STEPS, 12))}, "data must hold samples, not none"),
    (
        "count",
        {"array": np.zeros((2, STEPS, 12)), "samples": 0},
        "samples must be in 1..2147483648",
    ),
    ("more", {"array": np.zeros((2, STEPS, 12)), "samples": 3}, r"in 1..2 \(.*\), not 3"),
    (
        "label",
        {"array": np.zeros((1, STEPS, 12)), "labels": np.array(2)},
        r"labels must be one a sample, 1, not of shape \(\)",
    ),
    ("counts", {"array": np.full((2, STEPS, 12), 2)}, "must be 0 or 1, not 2: grey values go in"),
    ("grey", {"array": np.full((2, STEPS, 12), 0.5)}, "must be 0 or 1, not 0.5"),
    (
        "shape",
        {"array": np.zeros((2, STEPS, 11))},
        r"of shape \[sample, 5, 12\] .*not \(2, 5, 11\)",
    ),
    ("flat", {"array": np.zeros((2, 60))}, r"must be of shape \[sample, 5, 12\]"),
    ("text", {"array": np.full((2, STEPS, 12), "a")}, "must be numbers"),
    ("objects", {"array": np.array([{}, 1], object)}, "is damaged or no array of numbers"),
    ("events", {"array": np.zeros((3, 4))}, "width of a step is missing"),
    (
        "place",
        {"array": np.array([[0, 12, 0, 0]]), "width": 1.0},
        r"x of the events must be in 0..11, not 12",
    ),
    ("width", {"array": np.zeros((3, 4)), "width": -1.0}, "must be positive, not -1"),
    (
        "labels",
        {"array": np.zeros((2, STEPS, 12)), "labels": np.array([0.5, 1])},
        "must be whole numbers",
    ),
    (
        "class",
        {"array": np.zeros((2, STEPS, 12)), "labels": np.array([2, 3])},
        "labels of the stimulus must be whole numbers in 0..2, the classes of output 'out', not 3",
    ),
    (
        "negative",
        {"array": np.zeros((2, STEPS, 12)), "labels": np.array([0, -1])},
        "labels of the stimulus must be at least 0, not -1",
    ),
    (
        "many",
        {"array": np.zeros((2, STEPS, 12)), "labels": np.arange(3)},
        r"one a sample, 2, not of shape \(3,\)",
    ),
]


@pytest.mark.parametrize(("name", "given", "words"), BAD, ids=[row[0] for row in BAD])
def test_bad_data_is_one_sentence(
    name: str, given: dict[str, Any], words: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", given["array"], allow_pickle=True)
    labels = None
    if "labels" in given:
        labels = tmp_path / "labels.npy"
        np.save(labels, given["labels"])
    with pytest.raises(InputError, match=words):
        from_files(
            network(),
            [tmp_path / "x.npy"],
            width=given.get("width"),
            labels=labels,
            samples=given.get("samples"),
        )


@pytest.mark.parametrize("name", ["gesture.aedat", "x.npy", "x.h5"])
def test_damaged_files_are_one_sentence(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(bytes(range(200)))
    with pytest.raises(InputError, match="damaged"):
        from_files(network(), [tmp_path / name], width=1.0)
    with pytest.raises(InputError, match=r"missing|damaged"):
        from_files(network(), [tmp_path / f"none-{name}"], width=1.0)
