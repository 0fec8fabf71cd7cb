"""The float model of an import: kept, read back, run beside the integers; damage is a sentence."""

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save
from torch import nn

from spikeloop.golden.interchange import floats
from spikeloop.golden.interchange.modules.grey import Grey
from spikeloop.golden.interchange.modules.read import import_module
from spikeloop.golden.reference import integer
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.tensors import decode
from spikeloop.pysim.network.readout import Readout

snn = pytest.importorskip(
    "snntorch", reason="package snntorch is not installed: pip install snntorch"
)


def net() -> Any:
    torch.manual_seed(2)
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, padding="same"),
        snn.Leaky(0.9, threshold=0.3, init_hidden=True),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(18, 3),
        snn.RLeaky(0.8, threshold=0.2, linear_features=3, init_hidden=True),
    ).eval()


@pytest.mark.parametrize("grey", [None, Grey(3)])
def test_the_model_kept_is_the_model_imported(
    grey: Grey | None, tmp_path: Path, rng: np.random.Generator
) -> None:
    """Spikes and answers of the net's own forward in float64, from the file alone."""
    module, steps = net(), 6
    made = import_module(module, (1, 6, 6), steps=steps, bits=4, grey=grey)
    file = floats.save(tmp_path / floats.FILE, made.floats, made.network)
    twin = floats.load(file, made.network)
    assert twin is not None
    if grey is None:
        x = rng.random((120, steps, 1, 6, 6)) < 0.4
        lines = x.reshape(120, steps, -1).astype(np.uint8)
        values = torch.as_tensor(x.astype(np.float64))
    else:
        levels = grey.levels(rng.random((120, 36)))
        lines = np.repeat(grey.planes(levels)[:, None], steps, axis=1)
        values = (
            torch.as_tensor(grey.values(levels)).reshape(120, 1, 1, 6, 6).expand(-1, steps, 1, 6, 6)
        )
    from spikeloop.golden.interchange.modules.drive import prepared, record

    own = record(prepared(module), "step", values, steps)
    counts = torch.stack([call.results[0] for call in own.chains[-1].calls], 1).sum(1)
    labels = counts.argmax(1).numpy()
    column = floats.column(twin, made.network, {"input": lines}, labels)
    assert column.accuracy == 1.0 and column.drift.samples == 120
    rates = {row.population: row.rate for row in column.drift.populations}
    for chain in own.chains:
        spikes = torch.stack([call.results[0] for call in chain.calls], 1)
        assert rates[f"n{chain.name}"] == pytest.approx(float(spikes.mean()), abs=1e-12)
    assert sum(row.different for row in column.drift.populations) > 0  # of 4 bits


@pytest.mark.parametrize("groups", [None, 2])
@pytest.mark.parametrize("kind", ["spikes", "membrane", "max-membrane"])
def test_answers_of_the_floats(kind: str, groups: int | None, rng: np.random.Generator) -> None:
    """Of each read-out, those of the float values themselves; the integers beside them."""
    torch.manual_seed(3)
    module = nn.Sequential(
        nn.Linear(9, 8),
        snn.Leaky(0.9, threshold=0.4, init_hidden=True),
        nn.Linear(8, 4),
        snn.Leaky(0.8, threshold=0.5, init_hidden=True, reset_mechanism="none"),
    ).eval()
    steps = 6
    made = import_module(module, (9,), steps=steps, bits=3)
    x = (rng.random((70, steps, 9)) < 0.4).astype(np.uint8)
    twin = made.floats.run({"input": torch.as_tensor(x.astype(np.float64))})
    key, name = made.network.metadata["nodes"][made.network.output], made.network.output
    trace = integer.run(made.network, {"input": x})
    answers = []
    for spikes, membranes in (
        (twin.spikes[key].numpy(), twin.after[key].numpy()),
        (trace.spikes[name], trace.membranes[name]),
    ):
        values = {
            "spikes": spikes.sum(1),
            "membrane": membranes[:, -1],
            "max-membrane": membranes.max(1),
        }[kind]
        if groups:
            values = np.stack([values[:, :2].sum(1), values[:, 2:].sum(1)], 1)
        answers.append(values.argmax(1))
    readout = Readout.of(made.network, kind, groups)
    column = floats.column(made.floats, made.network, {"input": x}, answers[0], readout)
    assert column.accuracy == 1.0
    assert column.drift.answers == (answers[0] != answers[1]).sum()


def test_the_model_of_another_network_is_not_taken(tmp_path: Path) -> None:
    made = import_module(net(), (1, 6, 6), steps=4)
    file = floats.save(tmp_path / floats.FILE, made.floats, made.network)
    assert floats.load(file, replace(made.network, name="other")) is None


def test_a_damaged_model_is_one_sentence(tmp_path: Path, rng: np.random.Generator) -> None:
    made = import_module(net(), (1, 6, 6), steps=4)
    file = floats.save(tmp_path / floats.FILE, made.floats, made.network)
    whole = file.read_bytes()
    for size in (0, 7, 300, len(whole) - 1):
        file.write_bytes(whole[:size])
        with pytest.raises(InputError):
            floats.load(file, made.network)
    for place in rng.integers(8, 2000, 200):  # in the header
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        file.write_bytes(damaged)
        with suppress(InputError):  # any other error fails the test
            floats.load(file, made.network)


@pytest.mark.parametrize("shape", [(12,), (3, 18, 1), (2, 18), (18, 3)])
def test_a_model_that_cannot_run_is_damaged(shape: tuple[int, ...], tmp_path: Path) -> None:
    """Weights of another shape, behind a sound header."""
    made = import_module(net(), (1, 6, 6), steps=4)
    file = floats.save(tmp_path / floats.FILE, made.floats, made.network)
    header, arrays = decode(file.read_bytes(), floats.KEY, "file")
    (key,) = [key for key, array in arrays.items() if array.shape == (3, 18)]
    arrays[key] = np.zeros(shape)
    file.write_bytes(save(arrays, {floats.KEY: json.dumps(header)}))
    with pytest.raises(InputError, match=r"float model .* is damaged: import the net again"):
        floats.load(file, made.network)
