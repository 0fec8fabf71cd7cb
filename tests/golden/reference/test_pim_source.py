"""The reference with a PIM layer: its currents act as a bias of the same size, held or new in each
step."""

from dataclasses import replace

import numpy as np
import pytest

from spikeloop.golden.reference.integer import run
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.network.parameters import PARAMETERS
from spikeloop.pysim.pim import model as pim
from tests.make.pim_cases import pim_network


def with_bias(network: Network, currents: np.ndarray) -> Network:
    """The network without its PIM layer, whose currents ``[step, neuron]`` are in the bias, page
    after page."""
    first = network.population("first")
    paged = {
        key: np.repeat(getattr(first, key), len(currents), axis=0)
        for key, row in PARAMETERS.items()
        if row.axes != "plain" and key != "bias"
    }
    return replace(
        network,
        pim=None,
        populations=(replace(first, bias=first.bias + currents, **paged), *network.populations[1:]),
    )


@pytest.mark.parametrize("held", [True, False])
def test_currents_are_a_bias(held: bool) -> None:
    rng = np.random.default_rng(3)
    network = pim_network(rng, held=held)
    lines, images = (
        rng.integers(0, 2, (5, 4, 5)).astype(np.uint8),
        rng.integers(0, 256, (5, 36)).astype(np.uint8),
    )
    trace = run(network, {"lines": lines, "pixels": images}, batch=2)
    assert trace.spikes["first"].any() and trace.spikes["out"].any()
    frames = 1 if held else 4
    assert trace.currents["first"].shape == (5, frames, 32) and trace.clips["n_clip"].shape == (
        5,
        frames,
    )
    steps = []
    for sample, image in enumerate(images):
        made = [pim.run(network.pim.layer, image[None], np.array([k])) for k in range(frames)]
        steps.append([m.currents.reshape(-1) for m in made])
        assert np.array_equal(trace.currents["first"][sample], steps[-1])
        assert trace.clips["n_clip"][sample].tolist() == [m.counters["n_clip"] for m in made]
        alone = run(
            with_bias(network, np.broadcast_to(steps[-1], (4, 32))),
            {"lines": lines[sample : sample + 1]},
        )
        for name in ("first", "out"):
            assert np.array_equal(alone.spikes[name][0], trace.spikes[name][sample])
            assert np.array_equal(alone.membranes[name][0], trace.membranes[name][sample])
    assert held or any(np.ptp(sample, axis=0).any() for sample in steps), (
        "noise differs from step to step"
    )


def test_part_of_the_currents_in_another_order() -> None:
    rng = np.random.default_rng(4)
    network = pim_network(rng)
    images = rng.integers(0, 256, (2, 36)).astype(np.uint8)
    lines = np.zeros((2, 4, 5), np.uint8)
    turned = replace(network, pim=replace(network.pim, currents=np.arange(32)[::-1].copy()))
    a, b = (run(n, {"lines": lines, "pixels": images}) for n in (network, turned))
    assert np.array_equal(a.currents["first"][:, :, ::-1], b.currents["first"])


def test_bad_pixels() -> None:
    network = pim_network(np.random.default_rng(5))
    lines = np.zeros((2, 4, 5), np.uint8)
    for pixels in (np.zeros((2, 35), np.uint8), np.zeros((3, 36), np.uint8), np.zeros((2, 36))):
        with pytest.raises(InputError, match="pixels of 'pixels' must be uint8"):
            run(network, {"lines": lines, "pixels": pixels})
    with pytest.raises(InputError, match="exactly the inputs lines, pixels"):
        run(network, {"lines": lines})
