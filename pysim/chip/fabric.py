"""The fabric as the host sees it: mesh, packets, XY path, hops, latency, and covering rectangles.

A core is the pair (x, y) of its column and row; x grows to the east, y to the north; the core's
number is y * width + x. A packet is one flit: the rectangle of cores it is for, and an event (axon,
delay). It travels in x first and forks a copy into y at every column of its rectangle. There every
row of the rectangle gets a copy. In an empty fabric each copy arrives after

    cycles = 1 + hops,    hops = |x - x'| + |y - y'|

from the clock edge that takes the packet to the one that delivers it.

Source: Zou et al. 2021, section 2.4 (AER router with E, W, N, S and local ports, multicast);
docs/fabric.md.
"""

from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from functools import lru_cache

from spikeloop.pysim.chip.params import MAX_SIDE
from spikeloop.pysim.common.checks import check_int
from spikeloop.pysim.common.errors import InputError

__all__ = ["Mesh", "Rectangle", "chain", "hops", "latency", "path"]

Place = tuple[int, int]  # x, y


@dataclass(frozen=True)
class Rectangle:
    """The cores (x, y) with x0 <= x <= x1 and y0 <= y <= y1: where one packet goes.

    InputError if there are none.
    """

    x0: int
    y0: int
    x1: int
    y1: int

    def __post_init__(self) -> None:
        if not (0 <= self.x0 <= self.x1 and 0 <= self.y0 <= self.y1):
            raise InputError(
                "rectangle of a packet must have 0 <= x0 <= x1 and 0 <= y0 <= y1, "
                f"not {astuple(self)}: order its corners"
            )

    def __len__(self) -> int:
        return (self.x1 - self.x0 + 1) * (self.y1 - self.y0 + 1)

    def __iter__(self) -> Iterator[Place]:
        return ((x, y) for y in range(self.y0, self.y1 + 1) for x in range(self.x0, self.x1 + 1))


@dataclass(frozen=True)
class Mesh:
    """Mesh of ``width`` x ``height`` cores, each side 1..64."""

    width: int
    height: int

    def __post_init__(self) -> None:
        for name in ("width", "height"):
            check_int(f"mesh {name}", getattr(self, name), 1, MAX_SIDE)

    def __len__(self) -> int:
        return self.width * self.height

    def __iter__(self) -> Iterator[Place]:
        """All cores, in the order of their numbers."""
        return iter(Rectangle(0, 0, self.width - 1, self.height - 1))

    def number(self, core: Place) -> int:
        """The number of a core; InputError outside the mesh."""
        x, y = core
        if not (0 <= x < self.width and 0 <= y < self.height):
            raise InputError(
                f"core must lie in the {self.width} x {self.height} mesh, "
                f"not at x = {x}, y = {y}: choose a larger mesh"
            )
        return y * self.width + x

    def core(self, number: int) -> Place:
        """(x, y) of a core's number; InputError outside the mesh."""
        if not 0 <= number < len(self):
            raise InputError(
                f"core number must be in 0..{len(self) - 1}, not {number}: choose a larger mesh"
            )
        return number % self.width, number // self.width

    def check(self, rectangle: Rectangle) -> Rectangle:
        """The rectangle itself; InputError if it reaches outside the mesh.

        There the hardware would drop its copies in silence.
        """
        self.number((rectangle.x1, rectangle.y1))
        return rectangle


def path(source: Place, destination: Place) -> list[Place]:
    """Cores whose routers a packet for ``destination`` passes, both ends included.

    x first, then y; for a multicast it is the path of one copy.
    """
    (x, y), (to_x, to_y) = source, destination
    return [*((i, y) for i in _walk(x, to_x)), *((to_x, j) for j in _walk(y, to_y)), destination]


def _walk(a: int, b: int) -> range:
    """a, ..., up to but without b."""
    return range(a, b, 1 if b > a else -1)


def hops(source: Place, destination: Place) -> int:
    """Links between routers on the path: 0 to a core itself."""
    return abs(source[0] - destination[0]) + abs(source[1] - destination[1])


def latency(source: Place, destination: Place) -> int:
    """Cycles through an empty fabric to a ready receiver: one in each router.

    The same holds for each copy of a multicast.
    """
    return 1 + hops(source, destination)


def chain(destinations: Iterable[Place]) -> list[Rectangle]:
    """Few rectangles that hold each destination once and no other core.

    They are the packets of one spike for cores with the same axon. The search is greedy: it takes
    the largest rectangle until no core is left, of equals the lowest and then the westernmost. The
    rectangles are not always the fewest possible, but never more than one per core.
    """
    return list(_chain(frozenset(destinations)))


@lru_cache(maxsize=4096)  # the neurons of a population share their destinations
def _chain(left: frozenset[Place]) -> tuple[Rectangle, ...]:
    rectangles = []
    while left:
        corners = sorted(left, key=lambda core: core[::-1])
        largest = max((_largest(left, corner) for corner in corners), key=len)
        rectangles.append(largest)
        left -= frozenset(largest)
    return tuple(rectangles)


def _largest(cores: frozenset[Place], corner: Place) -> Rectangle:
    """The largest rectangle within ``cores`` whose south-west corner is ``corner``."""
    x0, y0 = corner
    best, y, limit = Rectangle(x0, y0, x0, y0), y0, MAX_SIDE
    while (x0, y) in cores:
        x = x0
        while x - x0 + 1 < limit and (x + 1, y) in cores:
            x += 1
        limit = x - x0 + 1  # a higher row can only be narrower
        best = max(best, Rectangle(x0, y0, x, y), key=len)
        y += 1
    return best
