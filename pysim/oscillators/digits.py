"""Six digits of 10 x 6 pixels, drawn for this project, and fuzzy copies of them.

The paper's own digits are not published. Three sets were tried. Plain seven-segment digits were no
stable memory. A set of the best margin with 14 to 32 black pixels failed on its "1". This one was
searched for margin and balance: 27 to 33 black pixels, overlaps of at most 0.10, Hopfield margins
of at least 0.67. So recall rates are those of chosen digits.
"""

import numpy as np

from spikeloop.pysim.common.checks import check_int

__all__ = ["SHAPE", "digits", "fuzzy"]

SHAPE = (10, 6)
_DRAWN = """
......   ...###   ......   #####.   .##.##   ......
......   ...###   ######   #####.   .##.##   ......
......   ...###   ...###   ....#.   .##.##   .####.
######   ...###   ######   #####.   .##.##   .####.
##..##   ...###   ###...   #####.   .##.##   .###..
##..##   ...###   ###...   ....#.   .#####   .####.
##..##   ######   ######   ....#.   ....##   .####.
##..##   ######   ......   #####.   ....##   ..###.
##..##   ......   ......   #####.   ....##   .####.
######   ......   ......   ......   ....##   .####.
"""


def digits() -> np.ndarray:
    """The digits 0 to 5 as int64 ``[6, 60]``: -1 is a black pixel, +1 a white one."""
    rows = [line.split() for line in _DRAWN.strip().splitlines()]
    return np.array(
        [[-1 if pixel == "#" else 1 for row in rows for pixel in row[d]] for d in range(6)]
    )


def fuzzy(pattern: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """A copy, float64, with ``count`` pixels drawn evenly from -1..1, at places without repetition.

    As section 3.1.3 of Delacour & Todri-Sanial 2021 has it.
    """
    check_int("fuzzy pixels", count, 0, len(pattern))
    pixels = np.array(pattern, np.float64)
    pixels[rng.choice(len(pattern), count, replace=False)] = rng.uniform(-1, 1, count)
    return pixels
