"""Mutants that change a text and no behaviour, each with the argument.

An entry names the file and the text of the line, before and after. So it stays right when lines
move, and of two equal words on a line it means one.
"""

from dataclasses import dataclass

from tests.campaigns.mutants.sites import Mutant

__all__ = ["EQUIVALENTS", "Equivalent", "argument"]


@dataclass(frozen=True)
class Equivalent:
    """``line`` of ``hdl/<file>``, without its indent, becomes ``mutated``."""

    file: str
    line: str
    mutated: str
    why: str


BIT_65 = "The lower 64 bits of a sum do not depend on those above, and its readers take 64."
BIT_2 = "It is 0 or 1, so a second bit is 0. Its readers take one bit, or ask whether any is 1."
ROUTER = "super().__init__({{**_signature(self.ports, self.layout), {}}})".format

EQUIVALENTS = [
    Equivalent(
        "core/counters.py",
        '**{f"count_{name}": Out(64) for name in names},',
        '**{f"count_{name}": Out(65) for name in names},',
        BIT_65,
    ),
    *(
        Equivalent(
            "fabric/router.py",
            ROUTER('"busy": Out(1), "active": Out(1)'),
            ROUTER(f'"busy": Out({busy}), "active": Out({active})'),
            BIT_2,
        )
        for busy, active in ((2, 1), (1, 2))
    ),
    Equivalent("core/accumulate.py", '"last": In(1),', '"last": In(2),', BIT_2),
    Equivalent("events/scanner.py", '"last": Out(1),', '"last": Out(2),', BIT_2),
    Equivalent("events/scanner.py", '"dense": In(1),', '"dense": In(2),', BIT_2),
    Equivalent(
        "link/hostlink.py",
        "part.reply.fits.eq(writer.room >= 2 * ITEM),",
        "part.reply.fits.eq(writer.room > 2 * ITEM),",
        "It is asked between items. Before its tail a frame has room for 2,032 bytes, of which the "
        "prefix takes two and an item four: what is left is 10, 6 or 2, and never 8.",
    ),
    Equivalent(
        "neuron/step.py",
        'if name == "saturated" and len(stages(chip)) > 2:',
        'if name == "saturated" and len(stages(chip)) >= 2:',
        "Without second states no stage has an output of CLIPPED, so zeros are added.",
    ),
    Equivalent(
        "plastic/neuron.py",
        'rest3 = held(signed(P + 2), "to_rest")',
        'rest3 = held(signed(P + 3), "to_rest")',
        "Three numbers of P bits have a sum of P + 2; one bit more repeats its sign.",
    ),
    Equivalent("synapses/update.py", '"write": Out(1),', '"write": Out(2),', BIT_2),
    Equivalent(
        "lib/layout.py",
        '**({"write": 1} if reads else {}),',
        '**({"write": 2} if reads else {}),',
        "It is 0 or 1, so a second bit is 0. Its readers ask whether any bit is 1, or take "
        "the lowest alone.",
    ),
    Equivalent(
        "lib/layout.py",
        '"row": max(1, *((memory.rows - 1).bit_length() for memory in table)),',
        '"row": max(1, *((memory.rows + 1).bit_length() for memory in table)),',
        "The field is a bit wider at most. No access has a row of so many bits: who drives it has "
        "rows of the map.",
    ),
    Equivalent("events/list.py", '"replay": In(1),', '"replay": In(2),', BIT_2),
    Equivalent(
        "plastic/core.py",
        "with m.If(second & (back < p.neurons)):",
        "with m.If(second & (back <= p.neurons)):",
        "One row more is written. Behind the last neuron there is none that is read. Where the "
        "neurons are a power of two it is row 0, read just before: it gets the same again.",
    ),
    Equivalent(
        "bus/loadport.py",
        "if map_.chip.extension > 1:",
        "if map_.chip.extension >= 1:",
        "Without axon extension the register takes no value above 0, which it has from reset.",
    ),
    Equivalent(
        "dendrites/membrane.py",
        "pulled = Signal(F_BITS + INHIBITION_BITS + 4, reset_less=True)",
        "pulled = Signal(F_BITS + INHIBITION_BITS + 5, reset_less=True)",
        "At most 16 products of F_BITS + INHIBITION_BITS are summed: one bit more is 0.",
    ),
    Equivalent(
        "pim/adc.py",
        "added = code << self.pulse * p.pulse_bits if p.pulses > 1 else code",
        "added = code << self.pulse * p.pulse_bits if p.pulses >= 1 else code",
        "Of one pulse the number is always 0, and the code is not shifted.",
    ),
    Equivalent(
        "synapses/update.py",
        'x = delayed(m, "unit", Mux(fresh2, x2, 0), 2, "trace")',
        'x = delayed(m, "unit", Mux(fresh2, x2, 1), 2, "trace")',
        "The next stage takes the bits from 16 on of x times a factor of 16 bits: 0 for both.",
    ),
    Equivalent(
        "synapses/update.py",
        "new = Mux(free < s.w_min, s.w_min, Mux(free > s.w_max, s.w_max, free))",
        "new = Mux(free <= s.w_min, s.w_min, Mux(free > s.w_max, s.w_max, free))",
        "A weight that is the bound becomes the bound either way.",
    ),
    Equivalent(
        "synapses/update.py",
        'free, touched = self._held(signed(32), "free"), Signal(name="touched")',
        'free, touched = self._held(signed(33), "free"), Signal(name="touched")',
        "A change of 38 bits, shifted by 8 or more, and a weight of 16 fit into 32 bits.",
    ),
    Equivalent(
        "onn/relaxation.py",
        'v, total = self.v[lane], Signal(signed(p.sum_bits + 1), name=f"total_{lane}")',
        'v, total = self.v[lane], Signal(signed(p.sum_bits + 2), name=f"total_{lane}")',
        "The sum of v and of sum_bits with a sign fits into one bit more than sum_bits.",
    ),
    Equivalent("core/control.py", '"live": Out(1),', '"live": Out(2),', BIT_2),
    Equivalent("dendritic/inputs.py", '"put": Out(1),', '"put": Out(2),', BIT_2),
    Equivalent(
        "onn/relaxation.py",
        "if p.passes > 1:",
        "if p.passes >= 1:",
        "With one pass ``turn`` is always 0, and the copies are taken as in the first pass of "
        "several: of the step's beginning, before any column.",
    ),
    Equivalent(
        "onn/control.py",
        "with m.If(self.fetching):",
        "with m.If((self.fetching) == 0):",
        "The digit is read in state SELF alone, where it counts down. Set in every cycle but those "
        "of FETCH and SELF, it is the highest when SELF begins, which is never the first state.",
    ),
    Equivalent(
        "core/domains.py",
        'enable["out"].eq(control.writing | (port.write & written_by_port)),',
        'enable["out"].eq(control.writing | (port.write | written_by_port)),',
        "The domain has edges more. Its memories write only where they are told, and its copy of "
        "the clipped lanes is counted in the cycle behind that of their word.",
    ),
    *(
        Equivalent(
            "core/driver.py",
            "moves.eq(sending & (self.taken | ~lines[0])),",
            f"moves.eq(sending & (self.taken | {line})),",
            "The ring takes an event at once but in a tick or a CLEAR, and neither runs while the "
            "driver sends: it is a part of what makes the core busy. So ``taken`` is always 1.",
        )
        for line in ("lines[0]", "~lines[1]")
    ),
    Equivalent(
        "link/framing.py",
        "ram.w_en.eq(decoded & (count != FRAME_BYTES)),",
        "ram.w_en.eq(decoded | (count != FRAME_BYTES)),",
        "Written without a byte is the row of the next byte, which is written again with it, or "
        "one behind the frame, which nobody reads. A frame that is too long is refused.",
    ),
    Equivalent(
        "onn/relaxation.py",
        "held = Mux(below, 0, Mux(high, (1 << p.volt_bits) - 1, total))",
        "held = Mux(below, 0, Mux(high, (0 << p.volt_bits) - 1, total))",
        "(0 << bits) - 1 is -1, of which the lower bits are taken: all ones, as before.",
    ),
    Equivalent(
        "onn/cell.py",
        '"length": Out(16),',
        '"length": Out(17),',
        "What drives it has 16 bits, and so has the register that takes it.",
    ),
    Equivalent(
        "plastic/neuron.py",
        'free, u = Signal(signed(P + 16)), held(signed(P), "u")',
        'free, u = Signal(signed(P + 15)), held(signed(P), "u")',
        "A conductance below 2^24 times a distance below 2^P gives less than 2^(P + 8) behind its "
        "16 bits. Two of them, the way to rest and v stay below 2^(P + 11).",
    ),
    Equivalent(
        "pim/macro.py",
        "saturated.append((above | below) & (self.used > word * p.splits))",
        "saturated.append((above | below) & (self.used >= word * p.splits))",
        "The first word that is not used has sums of 0, since its units do not convert. What is "
        "left is its bias, which fits.",
    ),
    Equivalent(
        "lib/lanes.py",
        "if b < len(self.parts) - 1:",
        "if b < len(self.parts) - 0:",
        "Nothing reads what the highest plane carries or borrows.",
    ),
    Equivalent(
        "synapses/normalise.py",
        "self.update.new.eq(Mux(product < s.w_min, s.w_min, bounded)),",
        "self.update.new.eq(Mux(product <= s.w_min, s.w_min, bounded)),",
        "A weight that is the bound becomes the bound either way.",
    ),
    Equivalent(
        "dendrites/inhibition.py",
        "new.eq(Mux(total < 0, 0, Mux(total > high, high, total))),",
        "new.eq(Mux(total < 0, 0, Mux(total >= high, high, total))),",
        "A total that is the bound becomes the bound either way.",
    ),
]


def argument(mutant: Mutant, source: str) -> str | None:
    """Why a mutant is equivalent; None if nobody said so."""
    before, after = (
        text.splitlines()[mutant.line - 1].strip() for text in (source, mutant.applied(source))
    )
    known = [
        e.why for e in EQUIVALENTS if (e.file, e.line, e.mutated) == (mutant.file, before, after)
    ]
    return known[0] if known else None
