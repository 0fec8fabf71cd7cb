"""Properties of the RTL, proved: one file per component, and a planted fault for each proof."""

from tests.formal.case import Case
from tests.formal.neuron import CASES as NEURON
from tests.formal.streams import CASES as STREAMS

__all__ = ["CASES"]

CASES: list[Case] = [*STREAMS, *NEURON]
