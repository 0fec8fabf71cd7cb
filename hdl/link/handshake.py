"""The handshakes between the parts of the host link, as signatures seen from the part that acts.

Only one part acts at a time. A part that does not act takes no byte and sends nothing, so that
hdl/link/hostlink.py joins the parts by OR.
"""

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.pysim.chip.frames import FRAME_BYTES

__all__ = ["ITEM", "command", "replying", "taking"]

ITEM = 4  # bytes of a word or of an item of a run


def taking() -> wiring.Signature:
    """Bytes of the frame's body, one a cycle.

    byte: In(8)   the next byte.
    left: In      bytes that were not taken, the next one among them.
    take: Out(1)  go on to the byte after it.
    """
    return wiring.Signature({"byte": In(8), "left": In(range(FRAME_BYTES + 1)), "take": Out(1)})


def replying() -> wiring.Signature:
    """Bytes of the reply, up to ITEM at once.

    count: Out    bytes to send; 0 sends nothing.
    value: Out    these bytes, the first lowest.
    free: In(1)   the bytes before are gone, or go in this cycle: more may be sent.
    still: In(1)  nothing of the reply is on its way; only then ``room`` and ``fits`` are true.
    room: In      bytes that the reply may still take.
    fits: In(1)   an item fits into the reply, and one after it.
    """
    return wiring.Signature(
        {
            "count": Out(range(ITEM + 1)),
            "value": Out(8 * ITEM),
            "free": In(1),
            "still": In(1),
            "room": In(range(FRAME_BYTES + 1)),
            "fits": In(1),
        }
    )


def command() -> wiring.Signature:
    """A command of a batch, on its way to the part that does it.

    start: In(1)    do it, beginning with the next cycle.
    op: In(8)       which command it is; parts ignore the ops of others.
    count: In(16)   argument of the command (pysim/chip/frames.py).
    address: In(32) argument of the command.
    done: Out(1)    the command ends in this cycle.
    """
    return wiring.Signature(
        {"start": In(1), "op": In(8), "count": In(16), "address": In(32), "done": Out(1)}
    )
