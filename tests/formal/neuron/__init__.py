"""The neuron step against ``spec.v``, which was written from docs/arithmetic.md alone."""

from tests.formal.case import Case
from tests.formal.neuron.adaptation import CASES as ADAPTATION
from tests.formal.neuron.current import CASES as CURRENT
from tests.formal.neuron.fire import CASES as FIRE
from tests.formal.neuron.leak import CASES as LEAK
from tests.formal.neuron.step import CASES as STEP

__all__ = ["CASES"]

CASES: list[Case] = [*FIRE, *LEAK, *CURRENT, *ADAPTATION, *STEP]
