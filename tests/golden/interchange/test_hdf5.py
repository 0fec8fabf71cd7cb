"""A read that never ends, or that ends the process, is an InputError."""

import os
import signal

import pytest

from spikeloop.golden.interchange.hdf5 import check_readable
from spikeloop.pysim.common.errors import InputError


def loop() -> None:
    while True:
        pass


def crash() -> None:
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGSEGV)


def grow() -> None:
    bytearray(3 << 30)


def refused_by_libhdf5() -> None:
    raise OSError("Can't read data (can't allocate memory block)")


def test_what_loops_or_crashes_or_grows_is_damage() -> None:
    for read in (loop, crash, grow, refused_by_libhdf5):
        with pytest.raises(InputError, match=r"file 'x' is damaged .HDF5 cannot read it"):
            check_readable(read, 0, "file 'x'")


def test_what_ends_is_read() -> None:
    check_readable(lambda: None, 0, "file 'x'")
    check_readable(lambda: 1 // 0, 0, "file 'x'")  # who reads it then says why
