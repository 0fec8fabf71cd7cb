"""Properties of the RTL, proved: one file per component, and a planted fault for each proof."""

from tests.formal.case import Case
from tests.formal.events import CASES as EVENTS
from tests.formal.fabric import CASES as FABRIC
from tests.formal.frames import CASES as FRAMES
from tests.formal.neuron import CASES as NEURON
from tests.formal.port import CASES as PORT
from tests.formal.streams import CASES as STREAMS
from tests.formal.sums import CASES as SUMS

__all__ = ["CASES"]

CASES: list[Case] = [*STREAMS, *NEURON, *SUMS, *EVENTS, *FABRIC, *PORT, *FRAMES]
