"""Writes docs/frames.md from pysim/chip/frames.py: ``python -m spikeloop.cosim.pages.frames``.

The page is generated and committed; tests/house/test_docs.py fails when it is not current.
"""

from pathlib import Path

from spikeloop.pysim.chip import frames
from spikeloop.pysim.common.files import write_atomic

__all__ = ["page"]

HEAD = """\
# Frames of the host link

<!-- written by `make docs` (cosim/pages/frames.py) from pysim/chip/frames.py: do not edit -->

"""


def page() -> str:
    """The whole page as Markdown."""
    _, _, form = (frames.__doc__ or "").partition("\n\n")
    lines = [
        HEAD + form,
        _sizes(),
        *_table("kind", frames.KINDS),
        _row(
            "op",
            "command",
            "count",
            "address",
            "bytes of data, reply per count",
            "waits for an idle core",
            "",
        ),
        "|---|---|---|---|---|---|---|",
        *(_command(op, verb) for op, verb in frames.COMMANDS.items()),
        "",
        *_table("status", frames.STATUS),
        *_table("reason of a refusal", frames.REASONS),
        *_table("nature", frames.NATURES),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _sizes() -> str:
    """The paragraph on sizes."""
    longest = frames.WIRE_BYTES - frames.PAYLOAD_BYTES
    return (
        f"Protocol {frames.PROTOCOL}. The longest frame on the wire has {frames.WIRE_BYTES:,} "
        f"bytes, the longest body with its CRC {frames.FRAME_BYTES:,}.\n"
        "Beside its payload a frame has kind, sequence, CRC, one byte of COBS and one more per "
        f"{frames.LONGEST_BLOCK}, and the 0:\n"
        f"{frames.sealed_size(0)} bytes, {longest} of the longest frame "
        f"({longest / frames.WIRE_BYTES:.1%}). "
        f"A frame waits at most {frames.WAIT_CYCLES:,} cycles for the core.\n"
    )


def _command(op: int, verb: frames.Verb) -> str:
    reply = "items" if op == frames.RUN else verb.reply
    waits = "yes" if verb.waits else "no"
    data = f"{verb.data}, {reply}"
    return _row(op, verb.name, verb.count, verb.address, data, waits, verb.meaning)


def _table(head: str, rows: dict[int, str]) -> list[str]:
    return [
        f"| {head} | |",
        "|---|---|",
        *(_row(code, meaning) for code, meaning in rows.items()),
        "",
    ]


def _row(*cells: object) -> str:
    return f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    target = Path(__file__).resolve().parents[2] / "docs" / "frames.md"
    print(f"wrote {write_atomic(target, page().encode())}")
