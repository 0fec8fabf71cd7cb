"""The abstract backend (anything that turns a stimulus into a trace) and the abstract chip link (few verbs).

Comparison, command line and users' scripts know only :class:`Backend`. A backend that is a chip, be it a Verilated
model, Icarus or a board at the end of a wire, also speaks :class:`Link`: the load port and the two event streams.
:class:`LinkBackend` runs any stimulus over those verbs alone, which is all that a board has to offer.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path

from pysim.memory_map import CONTROL_CLEAR, CONTROL_TICK, CONTROL_ZERO, COUNTERS, MemoryMap
from pysim.params import Chip
from pysim.trace import Stimulus, Trace

__all__ = ["Backend", "Link"]


class Backend(ABC):
    """Something that runs samples. Every sample starts from CLEAR, so that runs are independent and repeatable.

    ``name`` is the word of the command line that opens it (golden, pysim, verilator, icarus, ...).
    """

    name: str

    @abstractmethod
    def run(self, stimulus: Stimulus, *, membranes: bool = True) -> Trace:
        """Run all samples of the stimulus and return what they did, in steps of each population.

        ``membranes`` False leaves the membranes out of the trace, where that saves time.
        """

    def waves(self, stimulus: Stimulus, path: Path) -> Path | None:
        """Run the stimulus with signals recorded; the wave file written (its suffix may differ), or None: no waves here."""
        return None

    def close(self) -> None:
        """Give back processes, models and wires. Closing twice is harmless."""

    def __enter__(self) -> "Backend":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Link(ABC):
    """A chip at the end of a wire: the load port, the two event streams, and what is built on them.

    A new link (a serial board) writes ``write``, ``read``, ``send`` and ``receive``; the other verbs follow and may be
    overridden by something faster.
    """

    chip: Chip

    @abstractmethod
    def write(self, address: int, value: int) -> None:
        """Write 32 bits to the load port (docs/memory_map.md). Memories only while the core is idle."""

    @abstractmethod
    def read(self, address: int) -> int:
        """Read 32 bits from the load port."""

    @abstractmethod
    def send(self, events: Iterable[tuple[int, int]]) -> None:
        """Put AER events (axon, delay) into the ring; delay 1 means the tick that runs next."""

    @abstractmethod
    def receive(self) -> list[tuple[int, int]]:
        """AER events (output line, delay) that left the core since the last call, in their order."""

    def tick(self) -> None:
        """Run one tick and wait until the core is idle."""
        registers = MemoryMap(self.chip).registers
        self.write(registers["control"].address, CONTROL_TICK)
        while self.read(registers["status"].address) & 1:
            pass

    def clear(self) -> None:
        """Membranes to v_init, refractory to 0, ring empty, tick 0; counters stay. Waits until the core is idle."""
        registers = MemoryMap(self.chip).registers
        self.write(registers["control"].address, CONTROL_CLEAR)
        while self.read(registers["status"].address) & 1:
            pass

    def zero(self) -> None:
        """All counters to 0."""
        self.write(MemoryMap(self.chip).registers["control"].address, CONTROL_ZERO)

    def counters(self) -> dict[str, int]:
        """The 64-bit counters."""
        registers = MemoryMap(self.chip).registers
        return {name: self.read(registers[name].address) | self.read(registers[f"{name}_high"].address) << 32 for name in COUNTERS}

    def close(self) -> None:
        """Let go of the chip. Closing twice is harmless."""
