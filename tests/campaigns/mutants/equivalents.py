"""Mutants that change a text and no behaviour, each with the argument.

An entry names the file, the code before and after as ``Mutant.name`` prints them, and the line's
text. So it stays right when lines move.
"""

from dataclasses import dataclass

from tests.campaigns.mutants.sites import Mutant

__all__ = ["EQUIVALENTS", "Equivalent", "argument"]


@dataclass(frozen=True)
class Equivalent:
    """``old`` becomes ``new`` on the line ``line`` (without its indent) of ``hdl/<file>``."""

    file: str
    line: str
    old: str
    new: str
    why: str


BIT_65 = (
    "The lower 64 bits of a sum do not depend on those above, and the counter's reader takes 64."
)

EQUIVALENTS = [
    Equivalent("onn/cell.py", '"crossings": Out(64),', "64", "65", BIT_65),
    Equivalent(
        "core/counters.py", '**{f"count_{name}": Out(64) for name in names},', "64", "65", BIT_65
    ),
    Equivalent(
        "fabric/router.py",
        "super().__init__({**_signature(self.ports, self.layout), "
        '"busy": Out(1), "active": Out(1)})',
        "1",
        "2",
        "Both are 0 or 1, so a second bit is 0; who reads them asks whether any bit is 1.",
    ),
    Equivalent(
        "plastic/core.py",
        "with m.If(second & (back < p.neurons)):",
        "<",
        "<=",
        "One row more is written. Behind the last neuron there is none that is read. Where the "
        "neurons are a power of two it is row 0, read just before: it gets the same again.",
    ),
    Equivalent(
        "onn/control.py",
        "with m.If(self.fetching):",
        "self.fetching",
        "(self.fetching) == 0",
        "The digit is read in state SELF alone, where it counts down. Set in every other cycle, it "
        "is the highest when SELF begins, which is never the first state.",
    ),
    Equivalent(
        "core/driver.py",
        "moves.eq(sending & (self.taken | ~lines[0])),",
        "~",
        "",
        "The ring takes an event at once but in a tick or a CLEAR, and neither runs while the "
        "driver sends: it is a part of what makes the core busy. So ``taken`` is always 1.",
    ),
    Equivalent(
        "link/framing.py",
        "ram.w_en.eq(decoded & (count != FRAME_BYTES)),",
        "&",
        "|",
        "Written without a byte is the row of the next byte, which is written again with it, or "
        "one behind the frame, which nobody reads. A frame that is too long is refused.",
    ),
    Equivalent(
        "onn/relaxation.py",
        "held = Mux(below, 0, Mux(high, (1 << p.volt_bits) - 1, total))",
        "1",
        "0",
        "(0 << bits) - 1 is -1, of which the lower bits are taken: all ones, as before.",
    ),
    Equivalent(
        "dendrites/inhibition.py",
        "new.eq(Mux(total < 0, 0, Mux(total > high, high, total))),",
        ">",
        ">=",
        "A total that is the bound becomes the bound either way.",
    ),
]


def argument(mutant: Mutant, source: str) -> str | None:
    """Why a mutant is equivalent; None if nobody said so."""
    line = source.splitlines()[mutant.line - 1].strip()
    known = [
        e.why
        for e in EQUIVALENTS
        if (e.file, e.line) == (mutant.file, line)
        and (e.old, e.new) == (" ".join(mutant.old.split()), " ".join(mutant.new.split()))
    ]
    return known[0] if known else None
