"""pysim.bundle.program: which parts may run together.

What programs of whole networks do is tested in tests/pysim/mapping.
"""

from itertools import pairwise

import numpy as np

from spikeloop.pysim.bundle.program import Program
from spikeloop.pysim.bundle.shares import Share
from spikeloop.pysim.chip.params import PRESETS
from spikeloop.pysim.common.bits import unpack
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.model.core import Core
from spikeloop.pysim.network.elements import Edge, Input, Population
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace

STEPS = 5


def hop(source: str, target: str) -> Network:
    """One neuron that says what it hears."""
    return Network(
        name=f"{source}_{target}",
        inputs=(Input(name=source, size=1),),
        populations=(Population.make(target, 1, weight_bits=2, k0=False, v_th=1),),
        edges=(Edge(source=source, target=target, weights=np.ones((1, 1), np.int32)),),
        steps=STEPS,
        output=target,
    )


def test_a_part_that_waits_for_one_of_its_image_runs_later(rng: np.random.Generator) -> None:
    """x -> a0 -> b0 -> a1 -> b1: two images serve two parts each, which must run one by one."""
    chip, way = PRESETS["tiny"], [("x", 0), ("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    nets = {pair: pack(hop(*pair), chip=chip) for pair in (("x", "a"), ("a", "b"), ("b", "a"))}
    parts = tuple(
        Share(nets[source, target], {source: np.array([line])}, {target: np.array([neuron])})
        for (source, line), (target, neuron) in pairwise(way)
    )
    summary = nets["x", "a"].network
    program = Program(chip, summary, (("a", 2, 0), ("b", 2, 0)), None, parts)
    spikes = rng.integers(0, 2, (3, STEPS, 1), np.uint8)
    stimulus, order = Stimulus.pack({"x": spikes}), list[int]()

    def one(i: int, part: Stimulus) -> Trace:
        order.append(i)
        return Core(parts[i].image).run(part)

    trace = program.run(stimulus, one, together=True)
    assert spikes.any() and order == [0, 1, 2, 3]
    for name in ("a", "b"):
        np.testing.assert_array_equal(unpack(trace.spikes[name], 2), spikes.repeat(2, axis=2))
