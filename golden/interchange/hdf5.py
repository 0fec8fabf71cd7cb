"""HDF5 files of strangers: read in a process of its own first, since the library may loop or crash.

On a damaged file libhdf5 may run for ever, or end the process. Neither is an exception.
"""

import os
import resource
from collections.abc import Callable

from spikeloop.pysim.common.errors import InputError

__all__ = ["check_readable"]

SECONDS = 2
"""Of the processor, for a small file."""
BYTES = 1 << 26
"""Bytes that take a second more."""


def check_readable(read: Callable[[], object], size: int, what: str) -> None:
    """InputError unless ``read()`` comes to an end, by an exception or without.

    It is called in a fork of this process, and its result is dropped.
    size: bytes of the file. what: names it.
    """
    seconds = SECONDS + size // BYTES
    child = os.fork()
    if child == 0:
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            read()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status):
        raise InputError(f"{what} is damaged (HDF5 cannot read it): copy or export it again")
