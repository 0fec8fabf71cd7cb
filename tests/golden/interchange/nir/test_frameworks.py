"""NIR as snnTorch, SpikingJelly and Norse write it: with ``framework`` spike for spike as their own
forward pass."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from spikeloop.golden.interchange.graph.semantics import Semantics
from spikeloop.golden.interchange.nir.read import import_nir
from spikeloop.golden.reference.integer import run
from spikeloop.pysim.common.errors import InputError

nir = pytest.importorskip("nir", reason="package nir is not installed: pip install -e '.[nir]'")
STEPS, SAMPLES = 9, 30
Stepper = Callable[[torch.Tensor], torch.Tensor]


def linear(inputs: int, outputs: int, rng: np.random.Generator) -> nn.Linear:
    made = nn.Linear(inputs, outputs)
    made.weight.data = torch.as_tensor(rng.integers(-2, 4, (outputs, inputs)), dtype=torch.float32)
    made.bias.data = torch.as_tensor(rng.integers(-1, 2, outputs), dtype=torch.float32)
    return made


def snntorch(rng: np.random.Generator, path: Path) -> Stepper:
    snn = pytest.importorskip(
        "snntorch", reason="package snntorch is not installed: pip install -e '.[test]'"
    )
    export = pytest.importorskip(
        "snntorch.export_nir", reason="package nirtorch is not installed: pip install -e '.[test]'"
    )
    net = nn.Sequential(
        linear(10, 6, rng),
        snn.Leaky(torch.full((6,), 0.5), threshold=torch.full((6,), 4.0), init_hidden=True),
        linear(6, 3, rng),
        snn.Leaky(torch.full((3,), 0.5), threshold=torch.full((3,), 3.0), init_hidden=True),
    )
    nir.write(path, export.export_to_nir(net, torch.rand(10)))
    net[1].mem = net[3].mem = torch.zeros(0)
    return net


def spikingjelly(rng: np.random.Generator, path: Path) -> Stepper:
    neuron = pytest.importorskip(
        "spikingjelly.activation_based.neuron", reason="package spikingjelly is not installed"
    )
    from spikingjelly.activation_based.nir_exchange import export_to_nir

    net = nn.Sequential(
        linear(10, 6, rng),
        neuron.LIFNode(tau=2.0, v_threshold=2.0),
        linear(6, 3, rng),
        neuron.LIFNode(tau=2.0, v_threshold=3.0, decay_input=False),
    )
    nir.write(path, export_to_nir(net, torch.rand(1, 10)))
    for layer in (net[1], net[3]):
        layer.reset()
    return net


def norse(rng: np.random.Generator, path: Path) -> Stepper:
    box = pytest.importorskip("norse.torch.module.lif_box", reason="package norse is not installed")
    from norse.torch import SequentialState
    from norse.torch.functional.lif_box import LIFBoxParameters
    from norse.torch.utils.export_nir import to_nir

    def cell(size: int, threshold: float) -> Any:
        return box.LIFBoxCell(
            LIFBoxParameters(
                tau_mem_inv=torch.full((size,), 500.0),
                v_th=torch.full((size,), threshold),
                v_leak=torch.zeros(size),
                v_reset=torch.zeros(size),
            )
        )

    net = SequentialState(linear(10, 6, rng), cell(6, 2.0), linear(6, 3, rng), cell(3, 1.5))
    state: list[Any] = [None]

    def step(x: torch.Tensor) -> torch.Tensor:
        out, state[0] = net(x, state[0])
        return out

    nir.write(path, to_nir(net, torch.rand(10)))
    return step


@pytest.mark.parametrize("make", [snntorch, spikingjelly, norse])
def test_spike_for_spike_through_nir(
    make: Callable[[np.random.Generator, Path], Stepper], rng: np.random.Generator, tmp_path: Path
) -> None:
    step = make(rng, tmp_path / "net.nir")
    spikes = (rng.random((SAMPLES, STEPS, 10)) < 0.5).astype(np.uint8)
    with torch.no_grad():
        want = np.stack(
            [
                step(torch.as_tensor(spikes[:, t], dtype=torch.float32)).numpy()
                for t in range(STEPS)
            ],
            axis=1,
        )
    made = import_nir(
        tmp_path / "net.nir", Semantics(framework=make.__name__), steps=STEPS, bits=16
    )
    network = made.network
    assert 0 < want.mean() < 1
    np.testing.assert_array_equal(
        run(network, {network.inputs[0].name: spikes}).spikes[network.output], want.astype(np.uint8)
    )
    assert {a.why for a in made.assumed if a.what in ("dt", "compare", "reset")} == {
        f"default of {make.__name__}"
    }
    other = import_nir(
        tmp_path / "net.nir", Semantics(framework=make.__name__, reset="none"), steps=STEPS, bits=16
    ).network
    assert not np.array_equal(
        run(other, {other.inputs[0].name: spikes}).spikes[other.output], want
    ), "the reset must matter"


def test_unknown_framework(rng: np.random.Generator, tmp_path: Path) -> None:
    nir.write(
        tmp_path / "net.nir",
        nir.NIRGraph.from_list(nir.Linear(np.ones((2, 3))), nir.IF(np.ones(2), np.ones(2))),
    )
    with pytest.raises(
        InputError,
        match="framework must be one of snntorch, spikingjelly, norse, sinabs, rockpool, not",
    ):
        import_nir(tmp_path / "net.nir", Semantics(framework="brian"))
