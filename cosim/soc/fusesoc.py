"""The FuseSoC core file (CAPI2) of a wrapped chip, and the constraints of its clock."""

from spikeloop.pysim.chip.memory_map import CHIP_VERSION
from spikeloop.pysim.chip.wrap import WrapMap

__all__ = ["clock_constraint", "core_file"]

CORE = """\
CAPI=2:
name: spikeloop:core:{name}:{version}
description: A spiking core of spikeloop behind {bus}, fingerprint 0x{fingerprint:08x}

filesets:
  rtl:
    files: [{name}.v]
    file_type: verilogSource
  sdc:
    files: [{name}.sdc]
    file_type: SDC
  xdc:
    files: [{name}.xdc]
    file_type: xdc
  driver:
    files:
      - spikeloop.h: {{is_include_file: true}}
      - {name}.h: {{is_include_file: true}}
      - spikeloop.c
    file_type: cSource
  map:
    files: [{name}.rdl]
    file_type: user

targets:
  default: &default
    filesets: [rtl, "tool_vivado ? (xdc)", "tool_quartus ? (sdc)"]
    toplevel: {name}
  lint:
    <<: *default
    description: Lint with Verilator
    flow: lint
    flow_options:
      tool: verilator
"""

CLOCK = """\
# The clock of core {name}: {mhz:g} MHz. All its registers and pins are on this one clock.
create_clock -name {port} -period {period:.3f} [get_ports {port}]
"""


def core_file(map_: WrapMap, name: str) -> str:
    """The core file ``name``.core."""
    return CORE.format(
        name=name, version=CHIP_VERSION, bus=map_.bus, fingerprint=map_.chip.fingerprint()
    )


def clock_constraint(name: str, port: str, clock: float) -> str:
    """The constraint of the clock at ``port``; the same line is SDC and XDC. clock: in Hz."""
    return CLOCK.format(name=name, port=port, mhz=clock / 1e6, period=1e9 / clock)
