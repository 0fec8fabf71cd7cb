"""Mesh, path, hops, latency, and chains of rectangles."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloop.pysim.chip.fabric import Mesh, Rectangle, chain, hops, latency, path
from spikeloop.pysim.chip.records import packet_record, width
from spikeloop.pysim.common.errors import InputError

cores = st.tuples(st.integers(0, 9), st.integers(0, 9))
spans = st.lists(st.integers(0, 9), min_size=2, max_size=2).map(sorted)


@given(cores, cores)
def test_a_path_is_shortest_and_goes_in_x_first(
    source: tuple[int, int], destination: tuple[int, int]
) -> None:
    way = path(source, destination)
    assert (way[0], way[-1]) == (source, destination)
    steps = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(way)]
    assert all(abs(dx) + abs(dy) == 1 for dx, dy in steps)
    assert (
        len(steps)
        == hops(source, destination)
        == abs(source[0] - destination[0]) + abs(source[1] - destination[1])
    )
    assert steps == sorted(steps, key=lambda step: step[0] == 0)  # x, then y
    assert latency(source, destination) == len(way)


@given(cores, spans, spans)
def test_the_copies_of_a_multicast_share_their_way_until_they_part(
    source: tuple[int, int], xs: list[int], ys: list[int]
) -> None:
    """The union of the paths is a tree: every router is reached from one side only.

    So each core gets one copy.
    """
    rectangle = Rectangle(xs[0], ys[0], xs[1], ys[1])
    links = {link for to in rectangle for link in pairwise(path(source, to))}
    assert all(n == 1 for n in Counter(b for _, b in links).values())
    assert source not in {b for _, b in links}


@given(st.sets(st.tuples(st.integers(0, 6), st.integers(0, 6))))
def test_a_chain_covers_each_core_once_and_no_other(destinations: set[tuple[int, int]]) -> None:
    found = chain(destinations)
    assert Counter(core for rectangle in found for core in rectangle) == Counter(destinations)
    assert [len(rectangle) for rectangle in found] == sorted(
        (len(rectangle) for rectangle in found), reverse=True
    )


@given(spans, spans)
def test_a_rectangle_is_one_packet(xs: list[int], ys: list[int]) -> None:
    rectangle = Rectangle(xs[0], ys[0], xs[1], ys[1])
    assert chain(rectangle) == [rectangle]
    assert len(list(rectangle)) == len(set(rectangle)) == len(rectangle)


@pytest.mark.parametrize(
    ("picture", "packets"),
    [  # rows from the north
        (("##", "#."), 2),
        (("#.#", ".#.", "#.#"), 5),
        (("###", "#.#", "###"), 4),
        (("####", "..##"), 2),
        (("....",), 0),
        (("#..#",), 2),
    ],
)
def test_chains_of_known_shapes(picture: tuple[str, ...], packets: int) -> None:
    destinations = {
        (x, y)
        for y, row in enumerate(reversed(picture))
        for x, mark in enumerate(row)
        if mark == "#"
    }
    assert len(chain(destinations)) == packets


def test_a_whole_mesh_of_the_largest_size_is_one_packet() -> None:
    mesh = Mesh(8, 8)
    assert chain(mesh) == [Rectangle(0, 0, 7, 7)]


@given(st.integers(1, 64), st.integers(1, 64))
def test_numbers_of_cores(columns: int, rows: int) -> None:
    mesh = Mesh(columns, rows)
    assert [mesh.number(core) for core in mesh] == list(range(len(mesh)))
    assert all(mesh.core(mesh.number(core)) == core for core in mesh)
    record = {f.name: f.bits for f in packet_record(mesh.width, mesh.height)}
    assert all(columns - 1 < 1 << record[name] for name in ("x0", "x1")) and all(
        rows - 1 < 1 << record[name] for name in ("y0", "y1")
    )


def test_bits_of_a_packet() -> None:
    assert [
        width(packet_record(*sides)) for sides in ((1, 1), (2, 2), (4, 4), (3, 2), (1, 5), (64, 64))
    ] == [4, 4, 8, 6, 8, 24]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Mesh(0, 4), "mesh width must be in 1..64, not 0"),
        (lambda: Mesh(4, 65), "mesh height must be in 1..64, not 65"),
        (lambda: Mesh(True, 4), "mesh width must be in 1..64, not True"),
        (
            lambda: Rectangle(2, 0, 1, 0),
            r"must have 0 <= x0 <= x1 and 0 <= y0 <= y1, not \(2, 0, 1, 0\)",
        ),
        (lambda: Rectangle(0, -1, 1, 0), r"not \(0, -1, 1, 0\)"),
        (
            lambda: Mesh(4, 4).check(Rectangle(0, 0, 4, 3)),
            "core must lie in the 4 x 4 mesh, not at x = 4, y = 3",
        ),
        (lambda: Mesh(4, 4).check(Rectangle(0, 0, 0, 4)), "not at x = 0, y = 4"),
        (
            lambda: Mesh(3, 2).number((-1, 0)),
            "core must lie in the 3 x 2 mesh, not at x = -1, y = 0",
        ),
        (lambda: Mesh(3, 2).core(6), r"core number must be in 0..5, not 6"),
    ],
)
def test_what_is_outside_is_refused(make, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()
    assert Mesh(4, 4).check(Rectangle(0, 0, 3, 3)) == Rectangle(0, 0, 3, 3)
