"""RANC sets read without trust, as plain arrays.

Format: Mack et al. 2022, "RANC: Reconfigurable Architecture for Neuromorphic Computing".

csram_N.mem         A line per neuron: connections (axon 0 last), V, reset, four weights, leak,
                    threshold, low (9 bits signed each), mode (0 hard, 1 linear), dx, dy (9 bits
                    signed), axon, delay (4 bits). N = x + width * y. A core without file is empty.
tc_N.mem            A 2-bit type per axon.
tb_num_inputs.txt   Number of test packets of each tick.
tb_input.txt        The packets: dx, dy from core (0, 0), axon, delay. Those of line t arrive for
                    tick t + 1 + delay.
tb_num_outputs.txt  Number of addresses that come out in each tick.
tb_correct.txt      These addresses.

None of these files stores the grid and the place of the output bus. They stand in
tb_spikehard_params.json if there is one.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from spikeloop.golden.interchange.common import read_bounded, read_json
from spikeloop.pysim.common.errors import InputError

__all__ = ["Axon", "Place", "RancCore", "RancFiles", "read_ranc"]

Place = tuple[int, int]  # (x, y) of a core
Axon = tuple[Place, int]  # core and number of an axon

FIELD, MODE, DELAY = 9, 1, 4  # bits
# bits of a neuron apart from its connections and its axon address
FIXED = 9 * FIELD + MODE + 2 * FIELD + DELAY
MAX_GRID, MAX_AXONS, MAX_FILE = 512, 4096, 64 << 20
PARAMS = "tb_spikehard_params.json"
WIDTHS = {
    "potential_width": 9,
    "weight_width": 9,
    "leak_width": 9,
    "threshold_width": 9,
    "num_weights": 4,
    "num_ticks": 16,
    "num_reset_modes": 2,
    "max_dimension_x": 512,
    "max_dimension_y": 512,
}


@dataclass(frozen=True, eq=False)
class RancCore:
    """One core.

    weights: int32 ``[axon, neuron]``.
    mode:    0 hard, 1 linear.
    All arrays but ``weights`` are int64 ``[neuron]``.
    """

    weights: np.ndarray
    v_init: np.ndarray
    reset: np.ndarray
    leak: np.ndarray
    threshold: np.ndarray
    low: np.ndarray
    mode: np.ndarray
    dx: np.ndarray
    dy: np.ndarray
    axon: np.ndarray
    delay: np.ndarray

    @property
    def size(self) -> int:
        return self.v_init.size


@dataclass(frozen=True, eq=False)
class RancFiles:
    """A set.

    cores:   those that have a file, except that of the output bus.
    axons:   of each core.
    packets: of each tick (core, axon, delay); None where the set has none.
    outputs: of each tick the addresses that come out; None where the set has none.
    """

    cores: dict[Place, RancCore]
    axons: int
    grid: Place
    output: Place
    packets: list[list[tuple[Place, int, int]]] | None
    outputs: list[list[int]] | None

    @cached_property
    def packet_axons(self) -> set[Axon]:
        """Core and axon of every packet."""
        return {(place, axon) for packets in self.packets or () for place, axon, _ in packets}

    @cached_property
    def goes(self) -> dict[Place, list[Place]]:
        """For each core, the place that each of its neurons sends to: a core or the output bus.

        A place may also be empty or outside the grid.
        """
        return {
            place: [
                (place[0] + int(dx), place[1] + int(dy))
                for dx, dy in zip(core.dx, core.dy, strict=True)
            ]
            for place, core in self.cores.items()
        }

    def holds(self, place: Place) -> bool:
        """Whether a place lies in the grid."""
        return _inside(place, self.grid)


def read_ranc(
    folder: str | Path, grid: Place | None = None, output: Place | None = None
) -> RancFiles:
    """Read a folder.

    grid:   width and height.
    output: place of the output bus.
    Both are needed where no parameters file states them. InputError for anything but a sound set.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(
            f"RANC network must be a folder of csram_*.mem and tc_*.mem, not {str(folder)!r}"
        )
    grid, output = _geometry(folder, grid, output)
    cores, axons = _cores(folder, grid)
    cores.pop(output, None)
    return RancFiles(
        cores, axons, grid, output, _packets(folder, axons, grid, output), _outputs(folder, axons)
    )


def _cores(folder: Path, grid: Place) -> tuple[dict[Place, RancCore], int]:
    """All cores that have a file, and the number of axons of a core."""
    cores: dict[Place, RancCore] = {}
    axons = 0
    for path in sorted(folder.glob("csram_*.mem")):
        number = re.fullmatch(r"csram_(\d{1,6})\.mem", path.name)
        if not number:
            raise InputError(
                f"name of a RANC core file must be csram_<number>.mem, not {path.name!r}"
            )
        y, x = divmod(int(number[1]), grid[0])
        if y >= grid[1]:
            raise InputError(
                f"number of RANC core file {path.name!r} must be in 0..{grid[0] * grid[1] - 1} "
                f"(grid {grid[0]}x{grid[1]}), not {int(number[1])}: check --grid"
            )
        core, here = _core(path, path.with_name(path.name.replace("csram", "tc")))
        if axons and here != axons:
            raise InputError(
                f"lines of {path.name!r} must be for {axons} axons as those of the other cores, "
                f"not for {here}"
            )
        cores[x, y], axons = core, here
    if not cores:
        raise InputError(f"RANC network {str(folder)!r} must hold csram_*.mem files, not none")
    return cores, axons


def _core(path: Path, types_path: Path) -> tuple[RancCore, int]:
    rows = _lines(path)
    width = len(rows[0]) if rows else 0
    axons = next((a for a in range(1, MAX_AXONS + 1) if a + _address_bits(a) + FIXED == width), 0)
    if not axons:
        raise InputError(
            f"lines of {path.name!r} must be of connections + address + {FIXED} bits "
            f"(368 for 256 axons), not of {width}"
        )
    for i, row in enumerate(rows):
        if len(row) != width:
            raise InputError(
                f"line of neuron {i} in {path.name!r} must be of {width} bits as the first, not "
                f"of {len(row)}"
            )
    bits = np.frombuffer("".join(rows).encode(), np.uint8).reshape(len(rows), width) - ord("0")
    types = np.array([int(row, 2) if len(row) == 2 else 4 for row in _lines(types_path)])
    wide = " of which one has another width" if (types > 3).any() else ""
    if types.shape != (axons,) or wide:
        raise InputError(
            f"file {types_path.name!r} must hold {axons} lines of 2 bits, one for each axon, not "
            f"{types.size} lines{wide}"
        )
    at = axons

    def number(length: int, *, signed: bool = True) -> np.ndarray:
        """The next field of every row."""
        nonlocal at
        part = bits[:, at : at + length].astype(np.int64)
        at += length
        if not length:
            return np.zeros(len(rows), np.int64)
        value = part @ (1 << np.arange(length - 1, -1, -1))
        return value - (part[:, 0] << length) if signed else value

    v_init, reset = number(FIELD), number(FIELD)
    of_type = np.stack([number(FIELD) for _ in range(4)])
    leak, threshold, low = number(FIELD), number(FIELD), number(FIELD)
    mode, dx, dy = number(MODE, signed=False), number(FIELD), number(FIELD)
    axon, delay = number(_address_bits(axons), signed=False), number(DELAY, signed=False)
    weights = (bits[:, axons - 1 :: -1] if axons > 1 else bits[:, :1]).T * of_type[types]
    return RancCore(
        weights.astype(np.int32), v_init, reset, leak, threshold, low, mode, dx, dy, axon, delay
    ), axons


def _geometry(folder: Path, grid: Place | None, output: Place | None) -> tuple[Place, Place]:
    path = folder / PARAMS
    params = read_json(path) if path.is_file() else {}
    for key, want in WIDTHS.items():
        if params.get(key, want) != want:
            raise InputError(
                f"{key} in {PARAMS} must be {want}, not {params[key]!r}: no other width is read"
            )

    def pair(given: Place | None, keys: tuple[str, str], option: str) -> Place:
        if given is not None:
            return given
        x, y = (params.get(key) for key in keys)
        if not (isinstance(x, int) and isinstance(y, int)):
            raise InputError(
                f"{option} is missing: give it, since neither the RANC format nor a {PARAMS} "
                "states it"
            )
        return x, y

    grid = pair(grid, ("grid_dimension_x", "grid_dimension_y"), "--grid WxH")
    output = pair(output, ("output_core_x_coordinate", "output_core_y_coordinate"), "--bus X,Y")
    if not all(1 <= n <= MAX_GRID for n in grid):
        raise InputError(f"grid must be 1..{MAX_GRID} cores wide and high, not {grid[0]}x{grid[1]}")
    if not _inside(output, grid):
        raise InputError(
            f"output must lie in the grid of {grid[0]}x{grid[1]} cores, not at "
            f"{output[0]},{output[1]}"
        )
    return grid, output


def _packets(
    folder: Path, axons: int, grid: Place, output: Place
) -> list[list[tuple[Place, int, int]]] | None:
    """For each tick the packets (core, axon, delay), or None."""
    width = 2 * FIELD + _address_bits(axons) + DELAY
    rows = _per_tick(folder, "tb_input.txt", "tb_num_inputs.txt", width)
    if rows is None:
        return None
    ticks = []
    for lines in rows:
        packets = [_packet(line) for line in lines]
        for place, axon, _ in packets:
            if not _inside(place, grid) or axon >= axons:
                raise InputError(
                    "address of a packet in tb_input.txt must be an axon of a core of the grid "
                    f"{grid[0]}x{grid[1]}, not axon {axon} of core {place}: check --grid"
                )
            if place == output:
                raise InputError(
                    "packet in tb_input.txt must go to a core, not to the output bus at "
                    f"{place}: check --bus"
                )
        ticks.append(packets)
    return ticks


def _packet(line: str) -> tuple[Place, int, int]:
    """Core, axon and delay of a packet."""
    place = _signed(line[:FIELD]), _signed(line[FIELD : 2 * FIELD])
    return place, int(line[2 * FIELD : -DELAY] or "0", 2), int(line[-DELAY:], 2)


def _outputs(folder: Path, axons: int) -> list[list[int]] | None:
    """For each tick the addresses that come out, or None."""
    rows = _per_tick(folder, "tb_correct.txt", "tb_num_outputs.txt", None)
    return None if rows is None else [[int(line, 2) for line in lines] for lines in rows]


def _per_tick(folder: Path, what: str, counts: str, width: int | None) -> list[list[str]] | None:
    """The lines of file ``what``, split into ticks by the numbers in file ``counts``."""
    there = [(folder / name).is_file() for name in (what, counts)]
    if not any(there):
        return None
    if not all(there):
        raise InputError(
            f"files {what} and {counts} must be there both or not at all, not only "
            f"{what if there[0] else counts}"
        )
    rows = _lines(folder / what)
    width = width or (len(rows[0]) if rows else 0)
    wrong = next((row for row in rows if len(row) != width), None)
    if wrong is not None or width > 32:
        raise InputError(
            f"lines of {what} must all be of {min(width, 32)} bits, not of {len(wrong or rows[0])}"
        )
    text = read_bounded(folder / counts, MAX_FILE).decode("ascii", "replace").split()
    if (
        not all(n.isdecimal() and len(n) < 9 for n in text)
        or sum(map(int, text)) != len(rows)
        or not 0 < len(text) <= 1 << 16
    ):
        raise InputError(
            f"numbers in {counts} must add up to the {len(rows)} lines of {what}, not to something "
            "else"
        )
    ends = np.cumsum([0, *map(int, text)])
    return [rows[a:b] for a, b in zip(ends, ends[1:], strict=False)]


def _lines(path: Path) -> list[str]:
    """Lines of 0 and 1, without comments as in C."""
    text = read_bounded(path, MAX_FILE).decode("ascii", "replace")
    rows = re.sub(r"//[^\n]*", "", _without_blocks(text, path.name)).split()
    wrong = next((row for row in rows if row.strip("01")), None)
    if wrong is not None:
        raise InputError(f"lines of {path.name!r} must be bits, not {wrong[:20]!r}")
    return rows


def _without_blocks(text: str, name: str) -> str:
    """The text without comments in ``/* */``; InputError if one is not closed."""
    parts, at = [], 0
    while (start := text.find("/*", at)) >= 0:
        parts.append(text[at:start])
        at = text.find("*/", start + 2) + 2
        if at < 2:
            raise InputError(f"comments in {name!r} must be closed, not end with the file")
    return "".join([*parts, text[at:]])


def _address_bits(axons: int) -> int:
    return (axons - 1).bit_length()


def _signed(bits: str) -> int:
    return int(bits, 2) - (int(bits[0]) << len(bits))


def _inside(place: Place, grid: Place) -> bool:
    return 0 <= place[0] < grid[0] and 0 <= place[1] < grid[1]
