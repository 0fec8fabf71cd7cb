"""A session with a board: one frame at a time over a byte stream; its record and its replay.

A frame is sent until its reply comes, ATTEMPTS times at most. The board knows a frame by its
sequence number and does nothing twice. A failure that retries do not mend is a typed error, raised
within ATTEMPTS times the time-out (4.8 s):

    BoardSilent    no good reply came
    SessionLost    the board does not know the session any more: it was reset, or another host
                   spoke to it
    PortGone       the port itself failed
    BadReply       a whole reply that is no answer to its commands
"""

import json
import secrets
import time
from pathlib import Path
from typing import Any, Protocol, TextIO

from spikeloop.pysim.chip.frames import (
    BATCH,
    HELLO,
    NAK,
    NATURES,
    OUT_OF_SEQUENCE,
    PROTOCOL,
    REASONS,
    REPLY,
    WIRE_BYTES,
    open_frame,
    seal,
)
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import check_output
from spikeloop.pysim.common.reading import read_file

__all__ = [
    "ATTEMPTS",
    "TAKEN",
    "BadReply",
    "BoardSilent",
    "PortGone",
    "Replay",
    "Session",
    "SessionLost",
    "open_port",
]

ATTEMPTS = 4
TIMEOUT = 1.2  # seconds that a reply may take
POLL = 0.1  # seconds that a read waits for bytes
BAUD = 1_000_000
TAKEN = b"this board is taken by another host"
"""What a virtual board sends to a second host, before a 0, in place of a frame."""
RECORD = {"format": "spikeloop session", "version": 1}

REFUSALS = {
    ("lock", "busy", "in use"): "another program has it",
    ("no such", "not find"): "there is no such port",
    ("refused",): "nobody listens there",
    ("permission", "denied"): "permission denied",
}
"""Words in the system's errors and what they mean for a port, the first that fits."""


class BoardSilent(TimeoutError):
    """No good reply to a frame in all attempts."""


class SessionLost(ConnectionError):
    """The board refuses the sequence: it was reset, or another host spoke to it.

    Begin again and load the image again.
    """


class PortGone(ConnectionError):
    """The port cannot be read or written any more."""


class BadReply(ConnectionError):
    """A reply with a right CRC that is no answer to its commands, or that makes no progress."""


class Port(Protocol):
    """What a session needs of pyserial's ports."""

    def write(self, data: bytes, /) -> int | None: ...
    def read(self, size: int = 1, /) -> bytes: ...
    @property
    def in_waiting(self) -> int: ...
    def close(self) -> None: ...


def open_port(url: str) -> Any:
    """Open a pyserial port: a device, a pty or socket://HOST:PORT.

    ``@N`` behind it is the baud rate, 1,000,000 if absent. InputError says why it cannot be opened.
    """
    try:
        import serial
    except ModuleNotFoundError:
        raise InputError("pyserial is missing: pip install -e '.[board]' in a checkout") from None
    name, at, rate = url.rpartition("@")
    if not at:
        name, rate = url, str(BAUD)
    if not name or not rate.isdecimal() or not int(rate):
        raise InputError(
            "board must be PORT or PORT@BAUD (/dev/ttyUSB0@1000000, socket://HOST:PORT), "
            f"not {url!r}"
        )
    try:
        exclusive = {} if "://" in name else {"exclusive": True}
        return serial.serial_for_url(
            name, baudrate=int(rate), timeout=POLL, write_timeout=TIMEOUT, **exclusive
        )
    except (OSError, ValueError) as error:
        raise InputError(
            f"port of the board must be free and there, not {name!r} ({_reason(error)})"
        ) from None


def _reason(error: Exception) -> str:
    """Why a port cannot be opened, in words of ours."""
    text = str(error).lower()
    for words, reason in REFUSALS.items():
        if any(word in text for word in words):
            return reason
    return str(error).splitlines()[0]


class Session:
    """The frames of one host.

    timeout: seconds a reply may take.
    record: file that takes down the session as JSON lines, for :class:`Replay`.
    name: of the port, for messages.
    nature: "board" or "virtual board", as the board says.
    retries: frames sent again so far.
    InputError if no board answers, or one of another protocol.
    """

    def __init__(
        self,
        port: Port,
        *,
        timeout: float = TIMEOUT,
        record: Path | None = None,
        name: str = "this port",
    ) -> None:
        self.port, self.timeout, self.name, self.retries = port, timeout, name, 0
        self._file: TextIO | None = None
        self._buffer, self._skip, self._sequence = bytearray(), False, 0
        try:
            self.begin()
        except BoardSilent:
            raise InputError(
                f"board at {name} must answer, not be silent: "
                "check port, baud rate and that the board runs"
            ) from None
        if record is not None:
            check_output(record, file=True)
            try:
                record.parent.mkdir(parents=True, exist_ok=True)
                self._file = record.open("w")
            except OSError as error:
                reason = f"not {str(record)!r} ({error.strerror})"
                raise InputError(f"record of the session must be writable, {reason}") from None
            self._note(RECORD | {"nature": self.nature})

    def begin(self) -> None:
        """Begin a new session, whatever was before.

        The board may have been reset, be in the middle of a frame, or be at another sequence.
        """
        self._sequence = secrets.randbelow(256)
        reply = self._exchange(bytes((HELLO, self._sequence)), 1)
        if reply[:1] != bytes((PROTOCOL,)):
            version = reply[0] if reply else "unsaid"
            raise InputError(
                f"protocol of the board at {self.name} must be version {PROTOCOL}, not {version}: "
                "build board and driver from the same version"
            )
        if len(reply) != 4 or reply[1] not in NATURES:
            raise InputError(f"board at {self.name} must greet as one of spikeloop, not otherwise")
        self.nature = NATURES[reply[1]]

    def batch(self, commands: bytes, least: int = 0) -> bytes:
        """Have commands done once: their results, the number of commands done, and the status.

        least: bytes that the reply has at least.
        """
        self._sequence = self._sequence + 1 & 255
        reply = self._exchange(bytes((BATCH, self._sequence)) + commands, least)
        self._note({"commands": commands.hex(), "reply": reply.hex()})
        return reply

    def refuse(self, why: str) -> BadReply:
        """What to raise for a whole reply that is no answer to its commands."""
        return BadReply(f"board at {self.name} gave a reply that is no answer: {why}")

    def close(self) -> None:
        """Close port and record. Closing twice is harmless."""
        self.port.close()
        if self._file:
            self._file.close()
            self._file = None

    def _note(self, entry: dict[str, Any]) -> None:
        if self._file:
            self._file.write(json.dumps(entry) + "\n")

    def _exchange(self, body: bytes, least: int) -> bytes:
        """Send a frame until its reply comes; the reply behind its kind and sequence."""
        wire = seal(body)
        self._buffer.clear()  # bytes from before are no reply to this
        try:
            for attempt in range(ATTEMPTS):
                self.retries += attempt > 0
                # the 0 ends what a broken frame has left behind
                self.port.write(b"\0" + wire if attempt else wire)
                if (reply := self._reply(body[0], body[1], least)) is not None:
                    return reply
        except SessionLost:
            raise
        except OSError as error:  # pyserial's errors are OSErrors
            if "timeout" not in str(error).lower():
                raise PortGone(f"port of the board at {self.name} failed: {error}") from None
        raise BoardSilent(f"board at {self.name} gave no good reply in {ATTEMPTS} attempts")

    def _reply(self, kind: int, sequence: int, least: int) -> bytes | None:
        """The reply to this frame; None: send it again. Replies to earlier frames are ignored."""
        end, damaged = time.monotonic() + self.timeout, False
        while True:
            while (wire := self._frame()) is not None:
                if wire == TAKEN:
                    raise InputError(
                        f"board at {self.name} must be free, not taken by another host"
                    )
                body = open_frame(wire)
                if body is None:
                    damaged = True
                    continue
                if body[:2] == bytes((kind | REPLY, sequence)):
                    return body[2:]
                if body[0] == NAK | REPLY and kind == BATCH and body[1:2] == bytes((2,)):
                    reason = REASONS[OUT_OF_SEQUENCE]
                    raise SessionLost(f"board at {self.name} refused a frame: {reason}")
                damaged |= body[0] == NAK | REPLY
            if damaged:  # only now: what looks like many damaged frames may be one
                return None
            want = max(1, least - len(self._buffer), min(self.port.in_waiting, 4 * WIRE_BYTES))
            data = self.port.read(want)
            self._buffer += data
            if time.monotonic() >= end or (not data and getattr(self.port, "timeout", None) == 0):
                return None

    def _frame(self) -> bytes | None:
        """The next bytes between two 0, or None if they are not there yet.

        Of a frame without end, no more bytes are kept than a frame can have.
        """
        while True:
            if self._buffer.startswith(b"\0"):  # at once: there may be many
                self._buffer, self._skip = self._buffer.lstrip(b"\0"), False
            wire, zero, rest = self._buffer.partition(b"\0")
            if not zero:
                if len(self._buffer) > WIRE_BYTES:
                    self._buffer.clear()
                    self._skip = True
                return None
            self._buffer, skip, self._skip = rest, self._skip, False
            if wire:
                return b"" if skip else bytes(wire)


class Replay:
    """The board of a recorded session: gives the recorded answers, and no others.

    InputError if the file is no record.
    """

    nature = "replay"

    def __init__(self, path: Path) -> None:
        self.path, self._at = path, 0
        try:
            data = read_file(path, "record", "spikeloop compare --record writes one")
            head, *lines = [json.loads(line) for line in data.splitlines()]
            self._said = [
                (bytes.fromhex(line["commands"]), bytes.fromhex(line["reply"])) for line in lines
            ]
            fits = {key: head[key] for key in RECORD} == RECORD
        except InputError:
            raise
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            fits = False
        if not fits:
            wanted = f"one of a session with a board, version {RECORD['version']}"
            raise InputError(f"record must be {wanted}, not {str(path)!r}")

    def begin(self) -> None: ...

    def batch(self, commands: bytes, least: int = 0) -> bytes:
        """The recorded reply. InputError if the commands are not the recorded ones."""
        if self._at == len(self._said) or self._said[self._at][0] != commands:
            raise InputError(
                f"what is asked of replay {str(self.path)!r} must be what was recorded "
                "(same image, stimulus and options), "
                f"not something else from request {self._at + 1} of {len(self._said)} on"
            )
        self._at += 1
        return self._said[self._at - 1][1]

    def refuse(self, why: str) -> InputError:
        """What to raise for a recorded reply that is no answer to its commands."""
        return InputError(f"record {str(self.path)!r} is damaged ({why}): record it again")

    def close(self) -> None: ...
