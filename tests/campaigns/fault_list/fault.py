"""A seeded fault: a named edit of the RTL's sources that a person could have made."""

from dataclasses import dataclass

__all__ = ["Fault"]


@dataclass(frozen=True)
class Fault:
    """One edit: in ``hdl/<file>``, ``old`` becomes ``new``.

    ``old`` occurs exactly once in the file; otherwise the list is stale, and a run says so.
    ``sentence`` says what is wrong then. ``chip`` is the chip on which the fault acts: a name of
    tests/campaigns/regression/cases.py, a PIM macro of tests/make/pim_cases.py, a plastic core of
    tests/campaigns/regression/lessons.py, or a macro of macros/onn.py or macros/dendritic.py.
    """

    name: str
    file: str
    old: str
    new: str
    sentence: str
    chip: str = "base"
