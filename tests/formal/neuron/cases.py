"""The cases of a lemma of the neuron step: each width, in both forms of lanes."""

from collections.abc import Callable, Sequence

from spikeloop.cosim.audit.bench import Bench
from spikeloop.pysim.chip.params import Chip
from tests.campaigns.fault_list.fault import Fault
from tests.formal.case import Case
from tests.formal.neuron.parts import FORMS, PIM, chip_of

__all__ = ["cases", "with_pim"]

Chips = Callable[[int, str], Chip]
"""The chip of a width and a form."""


def cases(
    name: str,
    claim: str,
    make: Callable[[Chip], Bench],
    fault: Fault,
    *,
    chip: Chips = chip_of,
    widths: Sequence[int] = (8, 16, 24, 32),
    fast: tuple[int, str] | None = None,
    limit: float = 60,
) -> list[Case]:
    """A case for each width and form.

    make: the bench of a chip.
    fast: the width and form that are part of ``make test``.
    """
    return [
        Case(
            name,
            claim,
            f"{bits} bits, {form}",
            lambda b=bits, f=form: make(chip(b, f)),
            fault,
            limit=limit,
            fast=(bits, form) == fast,
        )
        for bits in widths
        for form in FORMS
    ]


def with_pim(
    name: str, make: Callable[[Chip], Bench], fault: Fault, chip: Callable[..., Chip]
) -> list[Case]:
    """The lemma ``name`` for a chip with a PIM macro, 16 bits wide. ``chip`` takes form and PIM."""
    return [
        Case(
            name,
            "the same with the currents of a PIM layer, Z = S + C",
            f"16 bits, PIM, {form}",
            lambda f=form: make(chip(f, pim=PIM)),
            fault,
        )
        for form in FORMS
    ]
