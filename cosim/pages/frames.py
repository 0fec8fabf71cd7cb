"""Writes docs/frames.md from pysim/chip/frames.py: ``python -m spikeloop.cosim.pages.frames``. tests/house/test_docs.py fails when it is not current."""

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
    longest = frames.WIRE_BYTES - frames.PAYLOAD_BYTES
    lines = [
        HEAD + form,
        f"Protocol {frames.PROTOCOL}. Longest frame on the wire {frames.WIRE_BYTES:,} bytes, longest body with its CRC "
        f"{frames.FRAME_BYTES:,}. Beside its payload\n"
        f"a frame has kind, sequence, CRC, one byte of COBS and one more per {frames.LONGEST_BLOCK}, and the 0: "
        f"{frames.sealed_size(0)} bytes, {longest} of the longest\n"
        f"({longest / frames.WIRE_BYTES:.1%}). A frame waits at most {frames.WAIT_CYCLES:,} cycles for the core.\n",
        "| kind | | |",
        "|---|---|---|",
        *(
            _row(kind, name, frames.KINDS[kind])
            for kind, name in (
                (frames.HELLO, "hello"),
                (frames.BATCH, "batch"),
                (frames.NAK, "refusal"),
            )
        ),
        "",
        "| op | command | count | address | bytes of data, reply per count | waits for an idle core | |",
        "|---|---|---|---|---|---|---|",
        *(
            _row(
                op,
                verb.name,
                verb.count,
                verb.address,
                f"{verb.data}, {verb.reply or ('items' if op == frames.RUN else 0)}",
                "yes" if verb.waits else "no",
                verb.meaning,
            )
            for op, verb in frames.COMMANDS.items()
        ),
        "",
        *_table("status", frames.STATUS),
        *_table("reason of a refusal", frames.REASONS),
        *_table("nature", frames.NATURES),
    ]
    return "\n".join(lines).rstrip() + "\n"


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
    print(
        f"wrote {write_atomic(Path(__file__).resolve().parents[2] / 'docs' / 'frames.md', page().encode())}"
    )
