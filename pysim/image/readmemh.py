"""``$readmemh`` text, which every Verilog simulator reads: one row a line, in hexadecimal."""

import numpy as np

__all__ = ["HEX_VALUES", "from_readmemh", "to_readmemh"]

HEX_DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)
HEX_VALUES = np.full(256, 255, np.uint8)
"""What each character is worth; 255 for one that is no digit."""
HEX_VALUES[HEX_DIGITS] = np.arange(16)


def to_readmemh(rows: np.ndarray, width: int) -> bytes:
    """Rows uint8 ``[rows, ceil(width / 8)]`` as text.

    A line has ceil(width / 4) digits, the most significant first.
    """
    digits = -(-width // 4)
    nibbles = np.stack([rows & 15, rows >> 4], axis=2).reshape(rows.shape[0], -1)[:, :digits]
    text = np.full((rows.shape[0], digits + 1), ord("\n"), np.uint8)
    text[:, :digits] = HEX_DIGITS[nibbles[:, ::-1]]
    return text.tobytes()


def from_readmemh(data: bytes, rows: int, width: int) -> np.ndarray:
    """Inverse of :func:`to_readmemh`; ValueError for any other text."""
    digits = -(-width // 4)
    if len(data) != rows * (digits + 1):
        raise ValueError(f"{rows * (digits + 1)} bytes, not {len(data)}")
    text = np.frombuffer(data, np.uint8).reshape(rows, digits + 1)
    nibbles = np.zeros((rows, digits + digits % 2), np.uint8)
    nibbles[:, :digits] = HEX_VALUES[text[:, digits - 1 :: -1]]
    top = 1 << (width - 4 * (digits - 1))
    if (
        nibbles.max() > 15
        or nibbles[:, digits - 1].max() >= top
        or (text[:, digits] != ord("\n")).any()
    ):
        raise ValueError(f"rows of {digits} hex digits, {width} bits")
    return nibbles[:, ::2] | nibbles[:, 1::2] << 4
