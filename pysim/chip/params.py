"""Chip parameters: a frozen dataclass of choices, and the presets.

A parameter is written once, here, and read everywhere: RTL, packer, models, drivers and docs.

A *column* is one bit of synapse per axon. A *digit* is ``digit_bits`` neighbouring columns, which
one *lane* (one accumulator) adds at once. A *word* is the lanes of one row read. ``join`` digits
make one weight.
"""

import json
import zlib
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import Any

from spikeloop.pysim.chip.derived import SCAN_BITS, Derived
from spikeloop.pysim.chip.front import Front, front_of
from spikeloop.pysim.common.checks import check_int, from_exactly
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.dendritic.params import DendriticParams
from spikeloop.pysim.network.parameters import (
    LEAK_TERMS,
    MAX_DELAY,
    MAX_PAGE_SHIFT,
    MAX_PAGES,
    MAX_REFRACTORY,
)
from spikeloop.pysim.onn.params import OnnParams
from spikeloop.pysim.pim.front import PimFront

__all__ = [
    "BUS_BITS",
    "MAX_SIDE",
    "PAPER_CLOCK",
    "PRESETS",
    "PRESET_TABLE",
    "SCAN_BITS",
    "Chip",
    "Preset",
    "clock_of",
    "preset",
]

BUS_BITS = 32
"""width of the load port"""
MAX_EXTENSION = 64
"""longest axon extension"""
MAX_SIDE = 64
"""cores in a row or a column of a mesh"""
NUMBERS = ("page_shift", "current_bits", "adaptation_bits")
"""parameters that are 0 on chips without these parts"""
MACROS: dict[str, Any] = {"pim": PimFront, "onn": OnnParams, "dendritic": DendriticParams}
"""those that are macros, None on chips without them"""
OPTIONAL = (*NUMBERS, *MACROS)
"""what chips without these parts do not name, so that their fingerprints stay"""


@dataclass(frozen=True, kw_only=True)
class Chip:
    """The choices of one crossbar core, and how many cores make the chip.

    ===============  =========  ===================================================================
    field            range      meaning
    ===============  =========  ===================================================================
    axons            1..65536   input lines A of the core
    columns          1..65536   1-bit synapse columns per axon; a multiple of ``digit_bits``
    lanes            1..1024    accumulators: digits added per cycle
    digit_bits       1,2,4,8    columns that one lane accumulates at once (1: any weight width)
    membrane_bits    8..32      membrane width P
    delay_max        1..16      longest physical delay D_MAX; the axon ring has D_MAX + 1 slots
    extension        1..64      longest axon extension f, a power of two: a core may run with f
                                times the axons and 1/f of the columns
    pages            1..64      parameter pages per word, a power of two
    page_shift       0..15      largest page shift n: a page acts in 2^n steps (0: in one)
    leak_terms       0..3       shift-add leak terms in hardware
    refractory_bits  0..6       width of the refractory counter (0: none)
    roundings        bool       toward-zero and at-least-one shift rounding (else floor only)
    bounded          bool       lower membrane bound in hardware
    sliced           bool       lanes are bit planes (fast in simulation), else integers (fast
                                adders)
    clock_gates      bool       stages sleep by clock gate (simulation, ASIC), else by enable (FPGA)
    banks            1, 2       images a core holds: one of two is loaded while the other runs
    mesh_width       1..64      columns of the mesh of cores
    mesh_height      1..64      rows of the mesh; 1 x 1 is a single core without a fabric
    chain            0..65536   route entries of a core of a mesh beyond one per neuron, for spikes
                                that go to several places
    current_bits     0, 8..32   width of synaptic currents Q (0: neurons have none)
    adaptation_bits  0, 8..31   width of adaptations R (0: neurons have none)
    pim              PimFront   a PIM macro in front of a single core of one bank with clock gates
                                (None: no macro)
    onn              OnnParams  a macro of oscillators in front of such a core (None: no macro)
    dendritic        DendriticParams  a macro of dendritic neurons in front of such a core; at most
                                one of the three
    ===============  =========  ===================================================================
    """

    axons: int
    columns: int
    lanes: int
    digit_bits: int = 1
    membrane_bits: int = 24
    delay_max: int = 16
    extension: int = 1
    pages: int = 1
    page_shift: int = 0
    leak_terms: int = LEAK_TERMS
    refractory_bits: int = 6
    roundings: bool = True
    bounded: bool = True
    sliced: bool = True
    clock_gates: bool = True
    banks: int = 1
    mesh_width: int = 1
    mesh_height: int = 1
    chain: int = 1024
    current_bits: int = 0
    adaptation_bits: int = 0
    pim: PimFront | None = None
    onn: OnnParams | None = None
    dendritic: DendriticParams | None = None

    def __post_init__(self) -> None:
        for name, low, high in (
            ("axons", 1, 65536),
            ("columns", 1, 65536),
            ("lanes", 1, 1024),
            ("membrane_bits", 8, 32),
            ("delay_max", 1, MAX_DELAY),
            ("extension", 1, MAX_EXTENSION),
            ("pages", 1, MAX_PAGES),
            ("page_shift", 0, MAX_PAGE_SHIFT),
            ("leak_terms", 0, LEAK_TERMS),
            ("banks", 1, 2),
            ("mesh_width", 1, MAX_SIDE),
            ("mesh_height", 1, MAX_SIDE),
            ("chain", 0, 65536),
            ("refractory_bits", 0, MAX_REFRACTORY.bit_length()),
        ):
            check_int(f"chip parameter {name}", getattr(self, name), low, high)
        if self.digit_bits not in (1, 2, 4, 8):
            raise InputError(
                f"chip parameter digit_bits must be 1, 2, 4 or 8, not {self.digit_bits!r}"
            )
        for name in ("extension", "pages"):
            if (value := getattr(self, name)) & (value - 1):
                raise InputError(f"chip parameter {name} must be a power of two, not {value}")
        if self.columns % self.digit_bits:
            raise InputError(
                f"chip parameter columns must be a multiple of digit_bits ({self.digit_bits}), "
                f"not {self.columns}"
            )
        for name, most in (("current_bits", 32), ("adaptation_bits", 31)):
            if (bits := getattr(self, name)) != 0:
                check_int(f"chip parameter {name}", bits, 8, most)
        for name in ("roundings", "bounded", "sliced", "clock_gates"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(
                    f"chip parameter {name} must be true or false, not {getattr(self, name)!r}"
                )
        single = self.mesh_width * self.mesh_height == 1 and self.banks == 1
        if self.pim and not (single and self.clock_gates):
            raise InputError(
                "chip with a PIM macro must be a single core of one bank with clock_gates, "
                "not another one"
            )
        macros = [name for name in MACROS if getattr(self, name)]
        if self.front and not (single and self.clock_gates and len(macros) == 1):
            raise InputError(
                f"chip with {self.front.what} must be a single core of one bank with clock_gates "
                "and without another macro, not another one"
            )

    @cached_property
    def derived(self) -> Derived:
        """Every width and count that follows."""
        return Derived(self)

    @cached_property
    def front(self) -> Front | None:
        """The macro in front of the core whose results are events, if there is one."""
        return front_of(self)

    def replace(self, **changes: Any) -> "Chip":
        """The chip with some parameters changed."""
        return replace(self, **changes)

    def __repr__(self) -> str:
        """The parameters that differ from their defaults."""
        given = [
            f"{f.name}={value!r}"
            for f in fields(self)
            if (value := getattr(self, f.name)) != f.default
        ]
        return f"Chip({', '.join(given)})"

    def to_dict(self) -> dict[str, Any]:
        """JSON form; what the chip has of OPTIONAL, and no more of it."""
        return {key: value for key, value in asdict(self).items() if value or key not in OPTIONAL}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Chip":
        """Inverse of :meth:`to_dict`; InputError unless ``values`` has exactly the parameters."""
        if isinstance(values, dict):
            macros = {
                name: kind.from_dict(values[name]) if name in values else None
                for name, kind in MACROS.items()
            }
            values = {**dict.fromkeys(NUMBERS, 0), **values, **macros}
        return from_exactly(cls, values, "chip parameters")

    def fingerprint(self) -> int:
        """CRC-32 of the parameters, which the chip's register of that name holds.

        By it a host sees that an image was packed for this chip.
        """
        return zlib.crc32(json.dumps(self.to_dict(), sort_keys=True).encode())


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A chip with a name: its parameters, the clock in Hz that turns its cycles into time, and what
    it is, in one sentence.

    The clock is no parameter of the chip: neither the Verilog nor the fingerprint depends on it.
    """

    chip: Chip
    clock: int
    meaning: str


PAPER_CLOCK = 252_000_000
"""Hz: the clock of Zou et al. 2021, taken for every preset that was never placed and routed"""

PRESET_TABLE = {
    "tiny": Preset(
        chip=Chip(axons=32, columns=64, lanes=8, pages=4),
        clock=PAPER_CLOCK,
        meaning="a core for tests: 32 axons, 64 columns",
    ),
    "default": Preset(
        chip=Chip(axons=256, columns=1024, lanes=64, pages=4),
        clock=PAPER_CLOCK,
        meaning="a core of 256 axons and 1,024 columns",
    ),
    "zou2021": Preset(
        chip=Chip(axons=1152, columns=1024, lanes=88, extension=64, pages=4),
        clock=PAPER_CLOCK,
        meaning="the core of Zou et al. 2021: 1,152 axons, 1,024 columns, axon extension up to 64",
    ),
    "full": Preset(
        chip=Chip(axons=1152, columns=4096, lanes=128, digit_bits=4, delay_max=3, pages=4),
        clock=PAPER_CLOCK,
        meaning="a core of 1,152 axons and 1,024 neurons with weights of 4 bits (4,096 columns)",
    ),
    "ulx3s-85f": Preset(
        chip=Chip(
            axons=896,
            columns=448,
            lanes=4,
            membrane_bits=16,
            delay_max=1,
            leak_terms=1,
            refractory_bits=0,
            bounded=False,
            sliced=False,
            clock_gates=False,
        ),
        clock=25_000_000,
        meaning="the board ULX3S with an ECP5 85F, placed and routed: 896 axons, 448 columns",
    ),
    "hx8k": Preset(
        chip=Chip(
            axons=64,
            columns=16,
            lanes=2,
            membrane_bits=8,
            delay_max=1,
            leak_terms=1,
            refractory_bits=0,
            roundings=False,
            bounded=False,
            sliced=False,
            clock_gates=False,
        ),
        clock=12_000_000,
        meaning="the iCE40-HX8K board, placed and routed: 64 axons, 16 columns",
    ),
}
"""every preset by name: help, docs and boards are written from this table"""

PRESETS = {name: row.chip for name, row in PRESET_TABLE.items()}
"""the chips alone"""


def clock_of(chip: Chip) -> int:
    """The clock in Hz of the preset that ``chip`` was made from.

    A chip carries no preset's name. It is the preset with the same ``clock_gates`` (simulation and
    ASIC, or FPGA) from which the chip differs in the fewest parameters; the first of equals.
    """
    values = chip.to_dict()

    def differences(row: Preset) -> tuple[bool, int]:
        other = row.chip.to_dict()
        changed = sum(other.get(key) != value for key, value in values.items())
        return row.chip.clock_gates != chip.clock_gates, changed

    return min(PRESET_TABLE.values(), key=differences).clock


def preset(name: str) -> Chip:
    """The chip of a preset's name, with changes if any follow: "full,lanes=256,extension=2".

    InputError lists the names.
    """
    name, *changes = name.split(",")
    if name not in PRESETS:
        raise InputError(f"chip preset must be one of {', '.join(PRESETS)}, not {name!r}")
    values = {**dict.fromkeys(NUMBERS, 0), **PRESETS[name].to_dict()}
    for change in changes:
        key, _, value = change.partition("=")
        if key not in values:
            raise InputError(f"chip parameter must be one of {', '.join(values)}, not {key!r}")
        try:
            values[key] = json.loads(value)
        except ValueError:
            raise InputError(
                f"chip parameter {key} must be a number, true or false, not {value!r}"
            ) from None
    return Chip.from_dict(values)
