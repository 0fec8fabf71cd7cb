"""The ports of a core: those of the core itself and of its instances in a mesh.

i: In, stream          events into the axon ring (axon, delay)
o: Out, stream         events that leave the chip (address, delay)
p: Out, stream         in a mesh: packets to other cores (docs/fabric.md); ``i`` takes events
                       whether or not packets are taken
request: In, stream    requests of the load port
response: Out, stream  answers to reads
command: Out           bits written to the control register in this cycle
wait: In(1)            a command is still to be taken
missed: In(1)          a tick request was missed
tick: In(1)            strobe, taken while idle: run a tick
clear: In(1)           strobe, taken while idle: clear the state
zero: In(1)            strobe, taken while idle: zero the counters
busy: Out(1)           a tick, a clear or an image is under way
taken: Out(1)          a request or an event from outside is on its way
drive: In(1)           with a PIM macro, strobe: compute the currents of an image
run: In(1)             with another macro in front, strobe: run it
send: In(1)            with such a macro, strobe: send its events
count_*: Out(64)       counters, as the memory map names them
"""

from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.bus.loadport import request_layout
from spikeloop.hdl.core.front import commands
from spikeloop.hdl.fabric.router import packet_layout
from spikeloop.hdl.lib.layout import layout
from spikeloop.pysim.chip.fabric import Mesh
from spikeloop.pysim.chip.memory_map import MemoryMap
from spikeloop.pysim.chip.params import BUS_BITS, Chip
from spikeloop.pysim.chip.records import event_record, output_record

__all__ = ["members"]


def members(chip: Chip) -> dict:
    """The signature's members of a core of ``chip``."""
    event, map_ = layout(event_record(chip)), MemoryMap(chip)
    ports = {
        "i": In(stream.Signature(event)),
        "o": Out(stream.Signature(layout(output_record(chip)))),
    }
    if chip.derived.cores > 1:
        packet = packet_layout(Mesh(chip.mesh_width, chip.mesh_height), event)
        ports["p"] = Out(stream.Signature(packet))
    ports |= {
        "request": In(stream.Signature(request_layout(map_.address_bits))),
        "response": Out(stream.Signature(BUS_BITS)),
        "command": Out(map_.command_bits),
        "wait": In(1),
        "missed": In(1),
        "tick": In(1),
        "clear": In(1),
        "zero": In(1),
        "busy": Out(1),
        "taken": Out(1),
    }
    ports |= {name: In(1) for name in commands(chip)}
    return ports | {f"count_{name}": Out(64) for name in map_.counters}
