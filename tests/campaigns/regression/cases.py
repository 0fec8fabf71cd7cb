"""The chips of the regression by name, and the random networks that run on each.

A chip shows what the others do not have. The same seeds give the same cases.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeloop.pysim.chip.params import PRESETS, Chip
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.model.core import Core
from spikeloop.pysim.network.elements import WeightFormat
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace
from tests.campaigns.macros import sources
from tests.campaigns.regression.pim_chip import FRONT
from tests.make.networks import random_network, random_stimulus
from tests.make.neurons.states import loud_network

__all__ = ["CHIPS", "NETWORKS", "SAMPLES", "Case", "cases"]

MESH = Chip(
    axons=130,
    columns=64,
    lanes=8,
    membrane_bits=10,
    delay_max=16,
    leak_terms=1,
    refractory_bits=1,
    roundings=False,
    bounded=False,
    mesh_width=3,
    mesh_height=2,
    chain=256,
)
CHIPS = {
    # two axon chunks, the second short; five ring slots; weights of up to 16 one-bit digits
    "base": Chip(
        axons=70, columns=48, lanes=16, pages=4, membrane_bits=10, delay_max=4, refractory_bits=3
    ),
    # lanes as integers, enables instead of gated clocks, an odd number of lanes, two-bit digits
    "scalar": Chip(
        axons=24,
        columns=42,
        lanes=7,
        digit_bits=2,
        pages=2,
        membrane_bits=9,
        delay_max=3,
        refractory_bits=2,
        sliced=False,
        clock_gates=False,
    ),
    # axon extensions of 1 to 8, with 1 to 3 axon chunks, of 16 to 2 words
    "extended": Chip(
        axons=20,
        columns=256,
        lanes=16,
        extension=8,
        pages=2,
        membrane_bits=9,
        delay_max=2,
        leak_terms=1,
        refractory_bits=1,
    ),
    # for coverage: memories whose rows are powers of two, so that every bit of an address can move
    "cover": Chip(
        axons=64,
        columns=256,
        lanes=16,
        extension=4,
        pages=4,
        membrane_bits=10,
        delay_max=7,
        refractory_bits=3,
    ),
    # the same with the second states, without axon extension
    "cover-states": Chip(
        axons=64,
        columns=128,
        lanes=16,
        pages=4,
        membrane_bits=10,
        delay_max=7,
        refractory_bits=3,
        current_bits=11,
        adaptation_bits=9,
    ),
    # two chunks of spikes per word, the second short
    "long": Chip(
        axons=130,
        columns=140,
        lanes=70,
        pages=1,
        membrane_bits=9,
        delay_max=2,
        leak_terms=1,
        refractory_bits=2,
    ),
    # six cores (tests/campaigns/regression/mesh/chip.py)
    "mesh": MESH,
    # the same in a row: packets fly when no core is busy
    "line": MESH.replace(mesh_width=12, mesh_height=1),
    # two image banks, axon extensions of 1 to 4
    "banked": PRESETS["tiny"].replace(extension=4, banks=2),
    # a PIM macro in front of a core (tests/campaigns/regression/pim_chip.py)
    "pim": Chip(
        axons=80,
        columns=272,
        lanes=8,
        membrane_bits=14,
        delay_max=2,
        leak_terms=1,
        refractory_bits=1,
        pim=FRONT,
    ),
    # a neuron step of two slices
    "slices": Chip(
        axons=24,
        columns=512,
        lanes=512,
        pages=2,
        membrane_bits=8,
        delay_max=2,
        leak_terms=1,
        refractory_bits=1,
    ),
    # synaptic currents wider than membranes, and adaptations
    "states": Chip(
        axons=40,
        columns=64,
        lanes=8,
        pages=2,
        membrane_bits=9,
        delay_max=2,
        leak_terms=2,
        refractory_bits=2,
        current_bits=10,
        adaptation_bits=8,
    ),
    # the same states narrower and wider than membranes, as integers with enables
    "states-scalar": Chip(
        axons=24,
        columns=40,
        lanes=5,
        digit_bits=2,
        pages=2,
        membrane_bits=12,
        delay_max=2,
        leak_terms=1,
        refractory_bits=1,
        sliced=False,
        clock_gates=False,
        current_bits=8,
        adaptation_bits=13,
    ),
    # in two image banks and with axon extension
    "states-banked": Chip(
        axons=32,
        columns=64,
        lanes=8,
        extension=4,
        pages=2,
        membrane_bits=8,
        delay_max=2,
        leak_terms=1,
        refractory_bits=1,
        banks=2,
        current_bits=9,
        adaptation_bits=8,
    ),
}
CHIPS["paged"] = CHIPS["cover"].replace(page_shift=2)  # pages of 1 to 4 steps
CHIPS["slices-states"] = CHIPS["slices"].replace(
    leak_terms=0, current_bits=8, adaptation_bits=8, bounded=False, roundings=False
)
# a source in front of a core (tests/campaigns/macros/sources.py)
CHIPS["onn-chip"] = sources.CHIPS["relaxation"]
CHIPS["dendritic-chip"] = sources.CHIPS["dendritic"]
CHIPS["pim-states"] = CHIPS["pim"].replace(current_bits=11, adaptation_bits=9)
NETWORKS = 6  # of each chip
SAMPLES = 6
DENSITY = 0.25
CORNERS = (
    0.15,
    1.0,
)  # share of neurons at the ends of the membrane range, one network after the other


@dataclass(frozen=True)
class Case:
    """A network, its image, a stimulus, and what pysim says of it."""

    network: Network
    image: Image
    stimulus: Stimulus
    core: Core
    trace: Trace


def cases(
    chip: Chip, count: int = NETWORKS, *, seed: int = 0, samples: int = SAMPLES
) -> Iterator[Case]:
    """The stimuli of the regression: the same for the same arguments.

    On a chip with currents, the widest sums come last.
    """
    for i in range(count):
        rng = np.random.default_rng([seed, i])
        whole: dict[str, Any] = {}
        if i % 3 == 2:  # words full to the last lane
            whole = {
                "fill": 1.0,
                "populations": min(3, chip.derived.words),
                "weight_format": WeightFormat.BINARY if i % 2 else None,
            }
        network = random_network(
            rng, chip, density=DENSITY, corners=CORNERS[i % len(CORNERS)], **whole
        )
        yield _case(network, chip, random_stimulus(rng, network, samples, DENSITY))
    if chip.current_bits:
        network = loud_network(chip)
        yield _case(network, chip, random_stimulus(np.random.default_rng(seed), network, 2, 0.8))


def _case(network: Network, chip: Chip, stimulus: Stimulus) -> Case:
    image = pack(network, chip=chip)
    core = Core(image, "numpy")
    return Case(network, image, stimulus, core, core.run(stimulus))
