"""HDF5 files of strangers: read in a process of its own first, since the library may loop or crash.

On a damaged file libhdf5 may run for ever, or end the process. Neither is an exception.
"""

import os
import resource
from collections.abc import Callable
from pathlib import Path

from spikeloop.pysim.common.errors import InputError

__all__ = ["check_readable"]

SECONDS = 4
"""Of the processor, for a small file."""
BYTES = 1 << 26
"""Bytes that take a second more."""
MEMORY = 1 << 30
"""Bytes that reading a small file may take."""


def _address_space() -> int:
    """Bytes of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def check_readable(read: Callable[[], object], size: int, what: str) -> None:
    """InputError unless ``read()`` comes to an end, by an exception or without, in little memory.

    It is called in a fork of this process, and its result is dropped.
    size: bytes of the file. what: names it.
    """
    seconds = SECONDS + size // BYTES
    child = os.fork()
    if child == 0:
        code = 0
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            most = _address_space() + MEMORY + 8 * size
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
            read()
        except MemoryError:
            code = 1
        except OSError as error:  # libhdf5 was refused memory
            code = int("allocat" in str(error))
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status):
        raise InputError(f"{what} is damaged (HDF5 cannot read it): copy or export it again")
