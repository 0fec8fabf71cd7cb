"""Writes docs/memory_map.md for every preset: ``python -m spikeloop.cosim.pages.memory_map``.

The page is generated and committed; tests/house/test_docs.py fails when it is not current.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from textwrap import fill

from spikeloop.pysim.chip.memory_map import (
    CONTROL_PIM,
    CONTROL_RUN,
    CONTROL_SEND,
    Memory,
    MemoryMap,
    Register,
)
from spikeloop.pysim.chip.params import PRESET_TABLE, PRESETS, Chip
from spikeloop.pysim.chip.records import (
    Field,
    adaptive_record,
    bound_record,
    event_record,
    fire_record,
    leak_record,
    neuron_record,
    numbered,
    output_record,
    place_record,
    route_record,
    synaptic_record,
    width,
    word_record,
)
from spikeloop.pysim.common.files import write_atomic
from spikeloop.pysim.dendritic.params import DendriticParams
from spikeloop.pysim.onn.params import OnnParams
from spikeloop.pysim.pim.front import PimFront
from spikeloop.pysim.pim.layer import PimParams

__all__ = ["page"]

HEAD = """\
# Memory map

<!-- written by `make docs` (cosim/pages/memory_map.py) from pysim/chip: do not edit -->

The load port is 32 bits wide and word-addressed: every address below counts 32-bit words. A memory
of `rows` rows of `width` bits is read and written in chunks of 32 bits, the least significant
first:

    address = base + (row << chunk_bits) + chunk

Registers may be accessed always, memories while the core is idle (`status` bit 0 is 0). Reset
zeroes the registers and leaves memories undefined. *Loaded* memories are filled from the image
bundle. The others are the core's own state, which `control` = 2 (clear) writes. 64-bit counters are
two registers, the low half first.

A chip of two banks (`banks` = 2) has every loaded memory twice. Its addresses have one bit more, on
top: the bank of a loaded memory, 0 for all else. Ticks and clears run on the bank that register
`bank` named when they started. The loaded memories of the other bank may be written at any time,
one word a cycle. Everything else waits until the core is idle.
"""

RECORDS = (
    ("leak", "per lane and page, bit planes", leak_record),
    ("fire", "per lane and page, bit planes", fire_record),
    ("neuron", "per lane, bit planes", neuron_record),
    ("bound", "per lane, bit planes", bound_record),
    ("words", "per word, plain", word_record),
    ("routes", "per neuron, plain", route_record),
    ("event in", "AER, plain", event_record),
    ("event out", "AER, plain", output_record),
)
MESH = PRESETS["tiny"].replace(mesh_width=4, mesh_height=4)
PIM_MACRO = PimParams(banks=1, columns=64, rows=32, weight_bits=4, active_rows=32, share=8)
WITH_PIM = PRESETS["tiny"].replace(
    pim=PimFront(macro=PIM_MACRO, pixels=1024, positions=256, currents=2048)
)
WITH_ONN = PRESETS["tiny"].replace(onn=OnnParams(oscillators=16, lanes=8))
WITH_DENDRITIC = PRESETS["tiny"].replace(dendritic=DendriticParams(inputs=64, neurons=8, stimuli=1))
PAGED = PRESETS["tiny"].replace(page_shift=4)
WITH_STATES = PRESETS["tiny"].replace(current_bits=24, adaptation_bits=16)
STATE_RECORDS = (
    ("synaptic", "per lane and page, bit planes", synaptic_record),
    ("adaptive", "per lane and page, bit planes", adaptive_record),
)
MESH_RECORDS = (
    ("routes", "per neuron and further entry of a chain, plain", route_record),
    ("event in", "AER, plain", lambda chip: numbered(event_record(chip), chip)),
    ("event out", "AER, plain", lambda chip: numbered(output_record(chip), chip)),
)


def page() -> str:
    """The whole page as Markdown."""
    memories = (line for name, chip in PRESETS.items() for line in _memories(name, chip))
    return "\n".join(
        [
            HEAD,
            *_presets(),
            *_registers(),
            *_records(),
            *memories,
            *_page_shift(),
            *_states(),
            *_pim(),
            *_onn(),
            *_dendritic(),
        ]
    )


def _presets() -> Iterator[str]:
    yield "## Presets\n"
    yield _paragraph(
        "The names that `--chip` takes, with changes if any follow (`full,lanes=256,extension=2`).",
        "The clock turns cycles into time; it is no parameter of the chip.",
    )
    yield from _table(
        ("preset", "clock", "what it is"),
        (
            (f"`{name}`", f"{row.clock / 1e6:g} MHz", row.meaning)
            for name, row in PRESET_TABLE.items()
        ),
    )


def _registers() -> Iterator[str]:
    yield "## Registers\n\nThe same on every chip; constants are those of preset `tiny`.\n"
    yield from _registers_table(MemoryMap(PRESETS["tiny"]).registers.values())


def _registers_table(registers: Iterable[Register]) -> Iterator[str]:
    return _table(
        ("address", "register", "access", "reset", "meaning"),
        (
            (
                f"{r.address:#04x}",
                f"`{r.name}`",
                r.access,
                f"{r.reset:#x}" if r.reset > 9 else str(r.reset),
                r.meaning,
            )
            for r in registers
        ),
    )


def _records() -> Iterator[str]:
    yield "## Records\n"
    yield _paragraph(
        "Fields lie least significant first. *Plain*: field after field in one row.",
        "*Bit planes*: bit b of a field of all lanes is one group of `lanes` neighbouring bits, so",
        "that memory bit = plane * lanes + lane. Bits are those of preset `tiny` where they depend",
        "on the chip.",
    )
    yield from _fields(RECORDS, PRESETS["tiny"], "")
    yield _paragraph(
        "In a mesh every core has all of this; its number lies in the address bits above those of",
        "one core. Its routes and the events at the pins are wider (here `tiny` as a mesh of",
        "4 x 4). A command written to any core's `control` is for all cores; `status` is that of",
        "the whole chip.",
    )
    yield from _fields(MESH_RECORDS, MESH, ", in a mesh")


def _fields(
    records: Iterable[tuple[str, str, Callable[[Chip], list[Field]]]], chip: Chip, where: str
) -> Iterator[str]:
    for name, form, record in records:
        fields = record(chip)
        yield f"### `{name}`{where} ({form}; {width(fields)} bits)\n"
        yield from _table(
            ("field", "bits", "signed", "meaning"),
            ((f"`{f.name}`", str(f.bits), "yes" if f.signed else "", f.meaning) for f in fields),
        )


def _page_shift() -> Iterator[str]:
    """What the word record of a chip with a page shift has besides."""
    yield "## With a page shift\n"
    plain = word_record(PRESETS["tiny"])
    yield _paragraph(
        "A chip with `page_shift` has one more field in its word records. Here is `tiny` with",
        f"pages of up to {1 << PAGED.page_shift} steps.",
    )
    yield from _fields(
        (("words", "per word, plain", lambda chip: word_record(chip)[len(plain) :]),), PAGED, ""
    )


def _states() -> Iterator[str]:
    """What a chip with synaptic currents and adaptations has besides."""
    plain, both = MemoryMap(PRESETS["tiny"]), MemoryMap(WITH_STATES)
    yield "## With synaptic currents and adaptations\n"
    yield _paragraph(
        "A chip with `current_bits` has memories `synaptic` and `y` as well, one with",
        "`adaptation_bits` has `adaptive` and `a`. Here is `tiny` with",
        f"{WITH_STATES.current_bits} and {WITH_STATES.adaptation_bits} bits; memories behind",
        "them move up.",
    )
    yield from _fields(STATE_RECORDS, WITH_STATES, "")
    yield from _memories_table(m for name, m in both.memories.items() if name not in plain.memories)


def _pim() -> Iterator[str]:
    """What a chip with a PIM macro has besides."""
    plain, macro = MemoryMap(PRESETS["tiny"]), MemoryMap(WITH_PIM)
    yield "## With a PIM macro\n"
    yield _paragraph(
        "A chip with a macro ([pim.md](pim.md)) has the following as well, here `tiny` with a",
        "macro of one bank of 64 columns. Write an image into `pim_pixels` (a row per pixel of the",
        f"padded map, whose border stays 0), `pim_stream`, then `control` = {CONTROL_PIM}; when",
        "`status` is 0 the currents are in `currents`, where ticks take them.",
    )
    yield from _registers_table(
        r for name, r in macro.registers.items() if name not in plain.registers
    )
    yield from _fields((("pim_places", "per current, plain", place_record),), WITH_PIM, "")
    yield from _memories_table(
        m for name, m in macro.memories.items() if name not in plain.memories
    )


def _onn() -> Iterator[str]:
    """What a chip with a macro of oscillators has besides."""
    assert WITH_ONN.onn
    yield "## With a macro of oscillators\n"
    yield _paragraph(
        "A chip with such a macro ([onn.md](onn.md)) has the following as well, here `tiny` with",
        f"{WITH_ONN.onn.oscillators} relaxation oscillators and {WITH_ONN.onn.lanes} lanes. Write",
        "the delays, the four values of the net and the rows of state, then `control` =",
        f"{CONTROL_RUN}; when `status` is 0 the state is the last one of the recall. Write the",
        f"axon of line 0 into `onn_axon`, then `control` = {CONTROL_SEND}: each oscillator out of",
        "phase puts an event on its axon for the coming tick.",
    )
    yield from _besides(WITH_ONN)


def _dendritic() -> Iterator[str]:
    """What a chip with a macro of dendritic neurons has besides."""
    p = WITH_DENDRITIC.dendritic
    assert p
    yield "## With a macro of dendritic neurons\n"
    yield _paragraph(
        "A chip with such a macro ([dendritic.md](dendritic.md)) has the following as well, here",
        f"`tiny` with {p.neurons} neurons of {p.inputs} inputs. Write the thresholds and the",
        f"state, then `control` = {CONTROL_RUN} for each step; when `status` is 0 the state is",
        "that behind the step. Write the axon of line 0 into `dendritic_axon`, a delay into",
        f"`dendritic_delay`, then `control` = {CONTROL_SEND}: each neuron with an output spike",
        "puts an event with that delay on its axon.",
    )
    yield from _besides(WITH_DENDRITIC)


def _besides(chip: Chip) -> Iterator[str]:
    """Registers and memories that `tiny` does not have."""
    plain, macro = MemoryMap(PRESETS["tiny"]), MemoryMap(chip)
    yield from _registers_table(
        r for name, r in macro.registers.items() if name not in plain.registers
    )
    yield from _memories_table(
        m for name, m in macro.memories.items() if name not in plain.memories
    )


def _memories(name: str, chip: Chip) -> Iterator[str]:
    memory_map = MemoryMap(chip)
    yield f"## Memories of preset `{name}`\n"
    yield (
        f"{chip.axons:,} axons, {chip.columns:,} columns, {chip.lanes:,} lanes of "
        f"{_count(chip.digit_bits, 'column')}, {_count(chip.derived.words, 'word')}, "
        f"{_count(chip.pages, 'page')};\n"
        f"{memory_map.address_bits} address bits, fingerprint {chip.fingerprint():#010x}.\n"
    )
    yield from _memories_table(memory_map.memories.values())


def _memories_table(memories: Iterable[Memory]) -> Iterator[str]:
    return _table(
        ("base", "memory", "rows", "width", "chunk_bits", "loaded", "meaning"),
        (
            (
                f"{m.base:#x}",
                f"`{m.name}`",
                f"{m.rows:,}",
                f"{m.width:,}",
                str(m.chunk_bits),
                "yes" if m.loaded else "",
                m.meaning,
            )
            for m in memories
        ),
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
    yield ""


def _paragraph(*parts: str) -> str:
    """The parts as one paragraph of at most 100 columns."""
    return fill(" ".join(parts), 100, break_long_words=False, break_on_hyphens=False) + "\n"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


if __name__ == "__main__":
    target = Path(__file__).resolve().parents[2] / "docs" / "memory_map.md"
    print(f"wrote {write_atomic(target, page().encode())}")
