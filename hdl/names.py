"""Names of the RTL's modules, for all that write, build or audit it. Needs no Amaranth."""

__all__ = [
    "ADAPTATION_MODULE",
    "ADC_MODULE",
    "APART_MODULES",
    "BOARD_TOP",
    "CHIP_TOP",
    "CLOCK_GATE_MODULE",
    "CORE_MODULE",
    "CURRENT_MODULE",
    "DENDRITIC_TOP",
    "FIRE_MODULE",
    "LEAK_MODULE",
    "ONN_TOP",
    "PIM_TOP",
    "PLASTIC_TOP",
    "RAM_MODULE",
    "SKID_MODULE",
    "STAGE_MODULES",
    "UNIT_MODULE",
]

# tops of the generated texts (hdl/verilog.py)
CHIP_TOP = "chip"
BOARD_TOP = "board"
PIM_TOP = "pim"
ONN_TOP = "onn"
DENDRITIC_TOP = "dendritic"
PLASTIC_TOP = "plastic"

# modules generated once and instantiated many times
CORE_MODULE = "spikeloop_core"  # a core of a mesh
LEAK_MODULE = "spikeloop_leak_slice"  # lanes of a wide core's neuron step
FIRE_MODULE = "spikeloop_fire_slice"
CURRENT_MODULE = "spikeloop_current_slice"
ADAPTATION_MODULE = "spikeloop_adaptation_slice"
UNIT_MODULE = "spikeloop_pim_unit"
ADC_MODULE = "spikeloop_pim_adc"
STAGE_MODULES = (LEAK_MODULE, FIRE_MODULE, CURRENT_MODULE, ADAPTATION_MODULE)
APART_MODULES = (CORE_MODULE, *STAGE_MODULES, UNIT_MODULE, ADC_MODULE)

# modules written by hand (hdl/lib/*.v)
RAM_MODULE = "spikeloop_ram"
CLOCK_GATE_MODULE = "spikeloop_clock_gate"
SKID_MODULE = "spikeloop_skid"
