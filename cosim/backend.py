"""The abstract backend: anything that turns a stimulus into a trace.

Comparison, command line and users' scripts know only :class:`Backend`.
"""

import shutil
from abc import ABC, abstractmethod
from pathlib import Path

from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace

__all__ = ["Backend", "check_tools", "claim"]

TOOLS = {
    "verilator": (("clang++", "g++"), ("make",), ("perl",)),
    "icarus": (("iverilog",), ("vvp",)),
}
"""Programs that a backend needs from the system: one of each group.

The package to install has the name of the last program of the group.
"""


def check_tools(backend: str) -> None:
    """InputError unless the tools of the backend of this name are there."""
    for programs in TOOLS.get(backend, ()):
        if not any(shutil.which(program) for program in programs):
            package = {"vvp": "iverilog"}.get(programs[-1], programs[-1])
            raise InputError(
                f"program {' or '.join(programs)} is missing, which backend {backend} needs: "
                f"sudo apt-get install -y {package}"
            )


def claim(path: Path) -> None:
    """Make an empty wave file, with its folders. InputError if that cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    except OSError as error:
        reason = f"not {str(path)!r} ({error.strerror})"
        raise InputError(f"wave file must be writable, {reason}") from None


class Backend(ABC):
    """Runs samples. Each starts from CLEAR, so that runs are independent and repeatable.

    name:   word of the command line that opens it: golden, pysim, verilator, icarus, ...
    nature: what hardware answers: "board", "virtual board" or "replay"; None for simulators
    """

    name: str
    nature: str | None = None

    @abstractmethod
    def run(self, stimulus: Stimulus, *, membranes: bool = True) -> Trace:
        """Run all samples of the stimulus and return their trace, in steps of each population.

        With ``membranes`` False the trace may lack the membranes, where that saves time.
        """

    def waves(self, stimulus: Stimulus, path: Path) -> Path | None:
        """Run the stimulus and record the signals in ``path``.

        Returns the file, whose suffix may differ; None if the backend records no waves.
        """
        return None

    def close(self) -> None:
        """Give back processes, models and wires. Closing twice is harmless."""

    def __enter__(self) -> "Backend":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
