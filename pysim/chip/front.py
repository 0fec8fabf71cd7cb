"""What a macro in front of a core brings along whose results are events on the core's axons.

    host --> memories of the macro --> run --> lines --> send --> axon ring

The host loads the macro through the load port. Command ``run`` makes it compute. Command ``send``
puts an event on axon ``axon`` + i for every line i that is set. A macro is one :class:`Front`:
memory map, packer, model and RTL ask it and no other table. The oscillators are one (docs/onn.md,
"In a chip"), the dendritic neurons are another (docs/dendritic.md, "In a chip"). A PIM macro is
none: it gives currents, not events.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spikeloop.pysim.common.memory import CHUNK_BITS, LoadMemory
from spikeloop.pysim.dendritic.memories import memories as dendritic_memories
from spikeloop.pysim.onn.memories import memories as onn_memories

if TYPE_CHECKING:
    from spikeloop.pysim.chip.params import Chip

__all__ = ["AXON", "FRONT_COUNTERS", "Front", "front_of"]


@dataclass(frozen=True, kw_only=True)
class Front:
    """A macro in front of a core.

    prefix:   how its memories and registers begin in the memory map
    what:     the macro in a sentence of an error
    page:     its page in docs/
    lines:    lines that it may set
    memories: those of its load port. One chunk, whatever its width, is one 32-bit word of the map
    loaded:   names of the memories that an image fills; the host writes the others for each sample
    mute:     names of the memories that are only written
    settings: its registers that the host writes, and their meanings; the first is AXON
    answers:  its registers of one bit that the host reads, likewise
    counters: by their names in the memory map, what each counts
    """

    prefix: str
    what: str
    page: str
    lines: int
    memories: tuple[LoadMemory, ...]
    loaded: tuple[str, ...]
    mute: tuple[str, ...]
    settings: dict[str, str]
    answers: dict[str, str]
    counters: dict[str, str]

    def registers(self) -> list[tuple[str, str, int, str]]:
        """Registers beside the counters: name, access, value after reset, meaning."""
        return [
            (f"{self.prefix}{name}", access, 0, meaning)
            for table, access in ((self.settings, "rw"), (self.answers, "r"))
            for name, meaning in table.items()
        ]

    def rows(self) -> list[tuple[str, int, int, bool, str, bool]]:
        """Memories of the map: name, rows, bits of a row, loaded, meaning, readable."""
        meaning = f"see docs/{self.page}; a value in each 32-bit word"
        return [
            (
                f"{self.prefix}{memory.name}",
                memory.rows,
                memory.chunks * CHUNK_BITS,
                memory.name in self.loaded,
                meaning,
                memory.name not in self.mute,
            )
            for memory in self.memories
        ]


AXON = {"axon": "axon of the first line of the macro"}
ONN_COUNTERS = {
    "onn_cycles": "cycles in which the oscillators ran or sent events",
    "onn_steps": "steps of the oscillators",
    "onn_reads": "words of couplings read",
    "onn_clips": "voltages clipped to their width",
    "onn_crossings": "crossings of the upper threshold",
}
DENDRITIC_COUNTERS = {
    "dendritic_cycles": "cycles in which the dendritic neurons ran or sent events",
    "dendritic_steps": "steps of the dendritic neurons",
    "dendritic_inputs": "spikes of their inputs",
    "dendritic_spikes": "their output spikes",
    "dendritic_clips": "values clipped to their widths",
    "dendritic_saturations": "weights clipped to their width",
}
FRONT_COUNTERS = ONN_COUNTERS | DENDRITIC_COUNTERS
"""Counters of all kinds of fronts."""


def _onn(chip: "Chip") -> Front | None:
    if chip.onn is None:
        return None
    return Front(
        prefix="onn_",
        what="a macro of oscillators",
        page="onn.md",
        lines=chip.onn.oscillators,
        memories=tuple(onn_memories(chip.onn)),
        loaded=("settings", "coupling", "sums"),
        mute=("settings",),
        settings=AXON,
        answers={"settled": "bit 0: the last run ended by itself"},
        counters=ONN_COUNTERS,
    )


def _dendritic(chip: "Chip") -> Front | None:
    if chip.dendritic is None:
        return None
    memories = tuple(dendritic_memories(chip.dendritic))
    return Front(
        prefix="dendritic_",
        what="a macro of dendritic neurons",
        page="dendritic.md",
        lines=chip.dendritic.neurons,
        memories=memories,
        loaded=tuple(memory.name for memory in memories if memory.name != "stimuli"),
        mute=(),
        settings={**AXON, "delay": "delay of the events"},
        answers={},
        counters=DENDRITIC_COUNTERS,
    )


KINDS: tuple[Callable[["Chip"], Front | None], ...] = (_onn, _dendritic)


def front_of(chip: "Chip") -> Front | None:
    """The macro in front of a core of ``chip`` whose results are events; None if it has none."""
    return next((front for kind in KINDS if (front := kind(chip))), None)
