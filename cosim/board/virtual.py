"""The virtual board: the Verilated top of a board in this process.

Its bytes lie behind a wire like a serial port's, a pty or a TCP port. The clock of the board stands
still while nobody asks for bytes. A virtual board is therefore as fast as the model, and every run
of it is the same.
"""

import ctypes
import os
import select
import socket
import time
import tty
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from spikeloop.cosim.board.session import TAKEN
from spikeloop.cosim.provenance import code
from spikeloop.cosim.verilator.build import APART, compile_whole, hdl_key, recipe
from spikeloop.cosim.verilator.cache import cached, stage
from spikeloop.hdl.names import BOARD_TOP
from spikeloop.pysim.chip.frames import WAIT_CYCLES, WIRE_BYTES
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.common.errors import InputError

__all__ = ["BoardModel", "Wire", "build_board", "serve"]

LEAST_DIVISOR = 4
IDLE = 600.0  # seconds
SLICE = 1 << 16  # cycles between two looks at the host


def build_board(chip: Chip, divisor: int | None = None, *, optimise: bool = True) -> Path:
    """The shared library of a virtual board; cached.

    divisor: cycles of a bit of its UART; None for bytes on streams.
    """
    if divisor is not None and divisor < LEAST_DIVISOR:
        raise InputError(f"cycles of a bit must be at least {LEAST_DIVISOR}, not {divisor}")
    harness = Path(__file__).with_name("board.cpp").read_text()
    what = (chip, divisor, optimise, harness, recipe(), code(__name__))
    key = hdl_key(repr(what))[:24]

    def make(folder: Path) -> None:
        from spikeloop.hdl.verilog import generate_board

        with stage("generate Verilog of the board"):
            verilog = generate_board(chip, divisor=divisor, virtual=True)
            (folder / "board.v").write_text(verilog)
        (folder / "apart.vlt").write_text(APART)
        sources = [folder / "apart.vlt", folder / "board.v"]
        compile_board(folder, sources, harness, divisor, optimise=optimise)

    return cached(f"board-{key}", make) / "board.so"


def compile_board(
    folder: Path, sources: list[Path], harness: str, divisor: int | None, *, optimise: bool
) -> None:
    """Compile Verilog (generated, or a netlist) with the top ``board`` to board.so."""
    compile_whole(
        folder,
        BOARD_TOP,
        sources,
        header=f"#define DIVISOR {divisor or 0}\n",
        harness=harness,
        optimise=optimise,
    )


class BoardModel:
    """A Verilated board, reset.

    divisor: cycles of a bit of its UART; None for bytes on streams.
    library: of :func:`build_board`; None builds it.
    """

    def __init__(
        self,
        chip: Chip,
        divisor: int | None = None,
        *,
        optimise: bool = True,
        library: Path | None = None,
    ) -> None:
        self._handle = None
        self._lib = lib = ctypes.CDLL(str(library or build_board(chip, divisor, optimise=optimise)))
        i64, pointer = ctypes.c_int64, ctypes.c_void_p
        functions: list[tuple[str, Any, tuple[Any, ...]]] = [
            ("new", pointer, ()),
            ("free", None, (pointer,)),
            ("reset", None, (pointer,)),
            ("cycles", ctypes.c_uint64, (pointer,)),
            ("quiet", ctypes.c_int, (pointer,)),
            ("run", i64, (pointer, ctypes.c_char_p, i64, pointer, pointer, i64, i64)),
        ]
        if divisor:
            functions.append(("baud", None, (pointer, ctypes.c_double)))
            functions.append(("break", None, (pointer, ctypes.c_int)))
        for name, result, arguments in functions:
            function = getattr(lib, f"board_{name}")
            function.restype, function.argtypes = result, arguments
        self._handle = pointer(lib.board_new())
        # cycles that a frame and its reply may take
        self._patience = 2 * (WAIT_CYCLES + 10 * WIRE_BYTES * (divisor or 1))
        self._out = ctypes.create_string_buffer(4 * WIRE_BYTES)

    @property
    def cycles(self) -> int:
        """Clock cycles so far."""
        return self._lib.board_cycles(self._handle)

    @property
    def quiet(self) -> bool:
        """True if nothing of a frame and no tick is under way."""
        return bool(self._lib.board_quiet(self._handle))

    def run(
        self, data: bytes = b"", *, capacity: int = 4 * WIRE_BYTES, limit: int | None = None
    ) -> tuple[int, bytes]:
        """Clock the board until nothing more happens by itself or ``capacity`` bytes have come.

        limit: cycles at most; None for what a frame and its reply may take.
        Returns how many bytes of ``data`` the board took, and the bytes that came.
        """
        taken = ctypes.c_int64()
        count = self._lib.board_run(
            self._handle,
            data,
            len(data),
            ctypes.byref(taken),
            self._out,
            min(capacity, len(self._out)),
            self._patience if limit is None else limit,
        )
        return taken.value, self._out.raw[:count]

    def reset(self) -> None:
        """Reset the board, as by the pin. Memories keep their contents."""
        self._lib.board_reset(self._handle)

    def baud(self, cycles_of_a_bit: float) -> None:
        """Set how long a bit of the host is. A bit of the board takes ``divisor`` cycles."""
        self._lib.board_baud(self._handle, cycles_of_a_bit)

    def hold(self, cycles: int) -> None:
        """Send a break: hold the host's line low for ``cycles``."""
        self._lib.board_break(self._handle, 1)
        self.run(limit=cycles)
        self._lib.board_break(self._handle, 0)

    def close(self) -> None:
        """Give the model back. Closing twice is harmless."""
        if self._handle:
            self._lib.board_free(self._handle)
            self._handle = None

    def __del__(self) -> None:
        self.close()


class Wire:
    """A model as a serial port, as far as cosim.board.session needs one.

    A read returns at once where no more bytes come by themselves: no time passes by waiting.
    """

    def __init__(self, model: BoardModel) -> None:
        self.model, self.timeout = model, 0.0
        self._in = b""

    def write(self, data: bytes) -> int:
        self._in += data
        return len(data)

    def read(self, size: int = 1) -> bytes:
        taken, out = self.model.run(self._in, capacity=size)
        self._in = self._in[taken:]
        return out

    @property
    def in_waiting(self) -> int:
        return 4 * WIRE_BYTES

    def close(self) -> None: ...


def serve(
    model: BoardModel,
    port: int | None,
    tell: Callable[[str], None],
    *,
    stop: Callable[[], bool] = lambda: False,
    idle: float = IDLE,
) -> None:
    """Be a board until ``stop`` returns True or the process is interrupted.

    port: a TCP port of this machine, 0 for any free one; None for a pty.
    tell: gets the address.
    stop: asked ten times a second.
    idle: seconds after which a silent host on a TCP port is sent away.
    One host is served at a time; a second one on a TCP port is told so and sent away. The board
    keeps its state from one host to the next.
    """
    if port is None:
        # the slave stays open here: a host that leaves does not end the line
        master, slave = os.openpty()
        try:
            tty.setraw(master)
            tty.setraw(slave)
            tell(os.ttyname(slave))
            while not stop():
                _pump(model, master, stop)  # a pty has no second host
        finally:
            os.close(master)
            os.close(slave)
        return
    try:
        listener = socket.create_server(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"port must be free on this machine, not {port} ({reason})") from None
    with listener:
        tell(f"socket://127.0.0.1:{listener.getsockname()[1]}")
        while not stop():
            if select.select([listener], [], [], 0.1)[0]:
                connection, _ = listener.accept()
                with connection:
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    guard = _Guard(listener, connection, idle)
                    _pump(model, connection.fileno(), stop, guard)


class _Guard:
    """Sends other hosts away, and says when the one that is served was silent for too long."""

    def __init__(self, listener: socket.socket, host: socket.socket, idle: float) -> None:
        self.listener, self.host, self.idle = listener, host, idle
        self.last = time.monotonic()

    def heard(self) -> None:
        """The host has sent or taken bytes."""
        self.last = time.monotonic()

    def over(self) -> bool:
        """Whether the host must go."""
        ready = select.select([self.listener, self.host], [], [], 0)[0]
        if ready == [self.listener]:  # where the host has sent, it may have gone: read first
            with suppress(OSError), self.listener.accept()[0] as other:
                other.setblocking(False)
                other.sendall(TAKEN + b"\0")
        return time.monotonic() - self.last > self.idle


def _pump(
    model: BoardModel, file: int, stop: Callable[[], bool], guard: _Guard | None = None
) -> None:
    """Move the bytes of one host until it leaves, no faster than the board takes them."""
    waiting, moved = b"", True
    os.set_blocking(file, False)
    while not stop() and not (guard and guard.over()):
        if not waiting and select.select([file], [], [], 0 if moved else 0.1)[0]:
            try:
                waiting = os.read(file, 4 * WIRE_BYTES)
            except OSError:
                return
            if not waiting:
                return
            if guard:
                guard.heard()
        taken, out = model.run(waiting, limit=SLICE)
        waiting = waiting[taken:]
        moved = bool(taken or out or waiting or not model.quiet)
        while out and not stop() and not (guard and guard.over()):
            if select.select([], [file], [], 0.1)[1]:
                try:
                    out = out[os.write(file, out) :]
                except OSError:
                    return
                if guard:
                    guard.heard()
