"""The events of a core: the list of a tick, the scanner, and the axon ring."""

from tests.formal.case import Case
from tests.formal.events.replay import CASES as LIST
from tests.formal.events.ring import CASES as RING
from tests.formal.events.scanner import CASES as SCANNER

__all__ = ["CASES"]

CASES: list[Case] = [*LIST, *SCANNER, *RING]
