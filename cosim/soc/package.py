"""All files of a wrapped chip, in one folder.

NAME.v               the RTL, one file
NAME.h               offsets of registers and memories
NAME.rdl             the same as SystemRDL
NAME.core            for FuseSoC
NAME.sdc, NAME.xdc   its clock
spikeloop.h, .c      the driver, the same for every chip
"""

from importlib.resources import files
from pathlib import Path

from spikeloop.cosim.soc.fusesoc import clock_constraint, core_file
from spikeloop.cosim.soc.header import common_registers, header
from spikeloop.cosim.soc.rdl import systemrdl
from spikeloop.hdl.wrap.pins import clock_pins
from spikeloop.hdl.wrap.verilog import check_name, generate_wrapped
from spikeloop.pysim.chip.memory_map import CHIP_ID, CONTROL_CLEAR, CONTROL_TICK, CONTROL_ZERO
from spikeloop.pysim.chip.params import Chip, clock_of
from spikeloop.pysim.chip.wrap import WrapMap
from spikeloop.pysim.common.files import writable, write_atomic

__all__ = ["driver", "write_soc"]


def driver() -> dict[str, str]:
    """The text of each file of the driver, by name."""
    values = {
        "registers": f"{common_registers()}\n#define SPIKELOOP_ID_VALUE 0x{CHIP_ID:08x}u",
        "tick": str(CONTROL_TICK),
        "clear": str(CONTROL_CLEAR),
        "zero": str(CONTROL_ZERO),
    }
    folder = files("spikeloop.cosim.soc") / "driver"
    texts = {file.name: file.read_text() for file in folder.iterdir()}
    for name, text in texts.items():
        for key, value in values.items():
            text = text.replace(f"@{key}@", value)
        texts[name] = text
    return dict(sorted(texts.items()))


def write_soc(chip: Chip, bus: str, name: str, folder: Path) -> list[Path]:
    """Write the files. InputError for a name that will not do.

    bus: one of BUSES of pysim/chip/wrap.py.
    The constraints have the clock of the preset that the chip was made from.
    """
    map_ = WrapMap(chip, bus)
    clock = clock_constraint(check_name(name), clock_pins(bus)[0].name, clock_of(chip))
    texts = {
        f"{name}.h": header(map_, name),
        f"{name}.rdl": systemrdl(map_, name),
        f"{name}.core": core_file(map_, name),
        f"{name}.sdc": clock,
        f"{name}.xdc": clock,
        **driver(),
    }
    writable(folder)
    texts = {f"{name}.v": generate_wrapped(chip, bus, name), **texts}
    return [write_atomic(folder / file, text.encode()) for file, text in texts.items()]
