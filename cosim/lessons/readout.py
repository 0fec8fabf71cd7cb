"""What was learnt, read out by the other kind of core: a crossbar core that only sums.

The learnt weights, w >> 1 as 16 signed bits, lead to neurons that neither leak nor fire. After the
test spikes their membranes are the sums of the weights over the spikes. So a net that the plastic
core taught runs on the chip of every other page, and every membrane of it is compared.
"""

import numpy as np

from spikeloop.golden.rules.alsa.flowers import CLASSES, LINES, TEST_TICKS, Trial, trains
from spikeloop.pysim.chip.params import PRESETS, Chip
from spikeloop.pysim.network.elements import Edge, Input, Population
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus

__all__ = ["CHIP", "crossbar"]

CHIP: Chip = PRESETS["tiny"].replace(axons=64, lanes=16)
"""A chip that holds the read-out: 48 axons, 3 weights of 16 columns."""


def crossbar(
    chosen: Trial, weights: np.ndarray, ticks: int = TEST_TICKS
) -> tuple[Network, Stimulus]:
    """The network of learnt 16-bit weights, uint16 ``[48, 3]``, and the test flowers' spikes."""
    halves = (weights.astype(np.int32) >> 1).reshape(LINES, CLASSES)
    network = Network(
        name="iris_readout",
        inputs=(Input(name="lines", size=LINES),),
        populations=(Population.make("species", CLASSES, weight_bits=16, fire=False),),
        edges=(Edge(source="lines", target="species", weights=halves),),
        steps=ticks,
        output="species",
        readout="membrane",
    )
    spikes = trains(chosen.test_rates, ticks).astype(np.uint8)
    return network, Stimulus.pack({"lines": spikes}, chosen.test_species)
