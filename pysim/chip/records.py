"""Records: what crosses a boundary or fills a memory word, field by field, least significant first.

One list of fields gives the Amaranth layout, the numpy packer and the docs. A *plain record* is
packed field after field. A *lane record* has one copy per lane and lies in memory as bit planes:
bit b of field f of all lanes is one group of ``lanes`` neighbouring bits, in field order, so that
memory bit = plane * lanes + lane.
"""

from dataclasses import dataclass

import numpy as np

from spikeloop.pysim.chip.params import Chip

__all__ = [
    "Field",
    "leak_record",
    "fire_record",
    "neuron_record",
    "bound_record",
    "synaptic_record",
    "adaptive_record",
    "word_record",
    "route_record",
    "event_record",
    "output_record",
    "packet_record",
    "place_record",
    "numbered",
    "width",
    "pack_lanes",
    "unpack_lanes",
    "pack_plain",
    "unpack_plain",
    "ROUTE_NONE",
    "ROUTE_LOCAL",
    "ROUTE_OUT",
    "ROUTE_PACKET",
]

ROUTE_NONE, ROUTE_LOCAL, ROUTE_OUT, ROUTE_PACKET = 0, 1, 2, 3


@dataclass(frozen=True)
class Field:
    """One field: its bits, whether two's complement, and what it means."""

    name: str
    bits: int
    signed: bool
    meaning: str


def leak_record(chip: Chip) -> list[Field]:
    """Per lane and page, read by the leak stage."""
    p, d = chip.membrane_bits, chip.derived
    return [
        Field("bias", p, True, "added to the sum"),
        Field("rectify", 1, False, "current below 0 becomes 0"),
        *_decay(chip, p, d.shift_bits, "membrane"),
    ]


def _decay(chip: Chip, bits: int, shift_bits: int, state: str) -> list[Field]:
    """A leak of a state of ``bits`` bits."""
    fields = [Field("k0", 1, False, f"{state} kept")]
    for r in range(chip.leak_terms):
        fields += [
            Field(f"on{r}", 1, False, f"leak term {r} acts"),
            Field(f"negative{r}", 1, False, f"leak term {r} is subtracted"),
            Field(f"shift{r}", shift_bits, False, f"right shift of leak term {r}, 0..{bits}"),
        ]
    if chip.roundings:
        fields += [
            Field("toward_zero", 1, False, "shifts round toward zero (else down)"),
            Field("at_least_one", 1, False, "shifts leave at least 1 in size (with toward_zero)"),
        ]
    return fields


def fire_record(chip: Chip) -> list[Field]:
    """Per lane and page, read by the fire stage."""
    p = chip.membrane_bits
    return [
        Field("v_th", p, True, "threshold: spike when u >= v_th"),
        Field("v_sub", p, True, "subtracted by a soft reset"),
    ]


def neuron_record(chip: Chip) -> list[Field]:
    """Per lane, the same on every page, read by the fire stage."""
    p = chip.membrane_bits
    fields = [
        Field("used", 1, False, "a neuron starts at this lane"),
        Field("fire", 1, False, "may spike (else read-out)"),
        Field("hard", 1, False, "hard reset"),
        Field("soft", 1, False, "soft reset"),
        Field("v_reset", p, True, "membrane after a hard reset"),
        Field("v_init", p, True, "membrane after CLEAR"),
    ]
    if chip.refractory_bits:
        fields += [
            Field("refractory", chip.refractory_bits, False, "steps silenced after a spike"),
            Field("hold", 1, False, "held at v_reset while refractory"),
        ]
    return fields


def bound_record(chip: Chip) -> list[Field]:
    """Per lane, the same on every page, read by the fire stage; on chips with a lower bound."""
    p = chip.membrane_bits
    return [
        Field("bounded", 1, False, "lower bound acts"),
        Field("low_add", 1, False, "low_value is added (else replaces u)"),
        Field("v_low", p, True, "lower bound"),
        Field("low_value", p, True, "what the lower bound sets or adds"),
    ]


def synaptic_record(chip: Chip) -> list[Field]:
    """Per lane and page, read by the current stage; on chips with synaptic currents."""
    d = chip.derived
    return [
        Field("current", 1, False, "the neuron has a synaptic current"),
        Field("old", 1, False, "the membrane takes the current before its update"),
        *_decay(chip, chip.current_bits, d.fraction_bits, "current"),
        Field("gain", d.gain_bits, False, "left shift of the sum into the current"),
        Field("fraction", d.fraction_bits, False, "right shift of the current into the membrane"),
    ]


def adaptive_record(chip: Chip) -> list[Field]:
    """Per lane and page, read by the leak stage; on chips with adaptations."""
    r, d = chip.adaptation_bits, chip.derived
    return [
        Field("adaptation", 1, False, "the neuron has an adaptation"),
        Field("old", 1, False, "the threshold takes the adaptation before its decay"),
        *_decay(chip, r, d.scale_bits, "adaptation"),
        Field("step", r, False, "what a spike adds"),
        Field("scale", d.scale_bits, False, "right shift of the adaptation to the threshold"),
        Field("reset", 1, False, "a soft reset subtracts what raised the threshold too"),
    ]


def word_record(chip: Chip) -> list[Field]:
    """Per word: what all its neurons share."""
    d = chip.derived
    fields = [
        Field("used", 1, False, "the word holds neurons"),
        Field("start", d.start_bits, False, "start tick d"),
        Field("last_page", d.page_bits, False, "pages - 1"),
        Field("last_digit", 4, False, "digits of a weight - 1"),
        Field("shift", 1, False, "digit j weighs 2^(j digit_bits) (else 1: ternary)"),
        Field("offset", 1, False, "weights are stored in excess: subtract events << offset_shift"),
        Field("offset_shift", 4, False, "excess of one weight, as a power of two"),
    ]
    if chip.page_shift:
        fields.append(
            Field("page_shift", d.page_shift_bits, False, "a page acts in 2^page_shift steps")
        )
    return fields


def route_record(chip: Chip) -> list[Field]:
    """Per neuron: where its spikes go.

    In a mesh there are also the fields from x0 on: a rectangle of cores, and by a chain several
    places.
    """
    d = chip.derived
    fields = [
        Field(
            "kind",
            2,
            False,
            "0 nowhere, 1 the core's own axon, 2 the output stream, 3 in a mesh: a packet",
        ),
        Field("address", 16, False, "axon, or output line"),
        Field("delay", d.delay_bits, False, "physical delay in ticks"),
    ]
    if d.cores > 1:
        fields += [
            *packet_record(chip.mesh_width, chip.mesh_height),
            Field("more", 1, False, "the spike goes on to entry `next`"),
            Field(
                "next",
                max(1, (d.route_rows - 1).bit_length()),
                False,
                "row of the next entry of the chain",
            ),
        ]
    return fields


def place_record(chip: Chip) -> list[Field]:
    """Per current of a PIM layer: the lane that takes it."""
    lane_bits = max(1, (chip.lanes - 1).bit_length())
    return [
        Field("used", 1, False, "a neuron of this core takes it"),
        Field("lane", lane_bits, False, "lane"),
        Field("word", chip.derived.word_bits, False, "word"),
    ]


def packet_record(mesh_width: int, mesh_height: int) -> list[Field]:
    """Address of a packet in a mesh; the event it carries follows above it."""
    x_bits, y_bits = (max(1, (side - 1).bit_length()) for side in (mesh_width, mesh_height))
    return [
        Field("x0", x_bits, False, "first column of the destination"),
        Field("y0", y_bits, False, "first row"),
        Field("x1", x_bits, False, "last column, >= x0"),
        Field("y1", y_bits, False, "last row, >= y0"),
    ]


def event_record(chip: Chip) -> list[Field]:
    """AER event into the core: sets ``axon`` in the slot ``delay`` ticks behind the current one."""
    return [
        Field("axon", chip.derived.axon_bits, False, "axon to set"),
        Field("delay", chip.derived.delay_bits, False, "1..D_MAX"),
    ]


def output_record(chip: Chip) -> list[Field]:
    """AER event out of the core."""
    return route_record(chip)[1:3]


def numbered(record: list[Field], chip: Chip) -> list[Field]:
    """An event as it crosses the pins of a mesh.

    Above it lies the number of the core that it is for, or comes from.
    """
    return [
        *record,
        Field("core", chip.derived.core_bits, False, "number of the core, y * mesh_width + x"),
    ]


def width(record: list[Field]) -> int:
    """Bits of one copy of the record."""
    return sum(f.bits for f in record)


def pack_lanes(record: list[Field], lanes: int, values: dict[str, np.ndarray]) -> np.ndarray:
    """Bit planes of one memory row per first index.

    ``values`` holds an integer array ``[rows, lanes]`` for each field. Returns bits uint8
    ``[rows, width * lanes]``, bit 0 first.
    """
    planes = []
    for f in record:
        value = np.asarray(values[f.name], dtype=np.int64)
        planes += [(value >> b) & 1 for b in range(f.bits)]
    return np.concatenate(planes, axis=1).astype(np.uint8)


def unpack_lanes(record: list[Field], lanes: int, bits: np.ndarray) -> dict[str, np.ndarray]:
    """Inverse of :func:`pack_lanes`: int64 ``[rows, lanes]`` per field."""
    planes = bits.reshape(bits.shape[0], width(record), lanes)
    return _fields(record, planes.transpose(1, 0, 2))


def pack_plain(record: list[Field], values: dict[str, np.ndarray]) -> np.ndarray:
    """Bits of plain records, one row per first index.

    ``values`` holds an integer array ``[rows]`` for each field. Returns bits uint8
    ``[rows, width]``, bit 0 first.
    """
    bits = [
        (np.asarray(values[f.name], dtype=np.int64) >> b) & 1 for f in record for b in range(f.bits)
    ]
    return np.stack(bits, axis=1).astype(np.uint8)


def unpack_plain(record: list[Field], bits: np.ndarray) -> dict[str, np.ndarray]:
    """Inverse of :func:`pack_plain`: int64 ``[rows]`` per field."""
    return _fields(record, bits.T)


def _fields(record: list[Field], planes: np.ndarray) -> dict[str, np.ndarray]:
    values, at = {}, 0
    for f in record:
        value = sum(planes[at + b].astype(np.int64) << b for b in range(f.bits))
        values[f.name] = value - ((value >> (f.bits - 1)) << f.bits) if f.signed else value
        at += f.bits
    return values
