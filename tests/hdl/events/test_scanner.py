"""The scanner alone, in Amaranth's own simulator.

It yields every set bit once and in order, in exactly the cycles of its docstring.
"""

import numpy as np
import pytest
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloop.hdl.events.scanner import Scanner
from spikeloop.pysim.chip.params import SCAN_BITS


def scan(
    rows: list[list[int]],
    bits: int,
    *,
    dense: bool = False,
    hold: list[int] | None = None,
    again: bool = False,
) -> tuple:
    """Scans rows of 64-bit chunks.

    ``hold``: cycles in which ``step`` is 0. Returns (row, index, hit) of each position, and the
    cycles from start to last.
    """
    dut = Scanner(rows=len(rows), bits=bits)
    found, taken = [], []

    async def bench(ctx) -> None:
        ctx.set(dut.dense, dense)
        for _ in range(2 if again else 1):
            found.clear()
            ctx.set(dut.start, 1)
            for cycle in range(100_000):
                ctx.set(dut.step, int(cycle not in (hold or ())))
                read, row, chunk = ctx.get(dut.read), ctx.get(dut.row), ctx.get(dut.chunk)
                if ctx.get(dut.valid) and ctx.get(dut.step):
                    found.append((ctx.get(dut.index_row), ctx.get(dut.index), ctx.get(dut.hit)))
                last = ctx.get(dut.last)
                await ctx.tick()
                ctx.set(dut.start, 0)
                if read:
                    ctx.set(dut.data, rows[row][chunk])
                if last:
                    taken.append(cycle + 1)
                    break
            else:
                raise AssertionError("the scan did not end")

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return list(found), taken[-1]


def set_bits(rows: list[list[int]]) -> list[tuple[int, int, int]]:
    return [
        (r, c * SCAN_BITS + b, 1)
        for r, chunks in enumerate(rows)
        for c, chunk in enumerate(chunks)
        for b in range(SCAN_BITS)
        if chunk >> b & 1
    ]


def popcounts(rows: list[list[int]]) -> list[int]:
    return [chunk.bit_count() for chunks in rows for chunk in chunks]


ALL = (1 << SCAN_BITS) - 1


@pytest.mark.parametrize(
    "rows",
    [
        [[0]],
        [[1]],
        [[1 << 63]],
        [[ALL]],
        [[0, 0, 0]],
        [[0, ALL, 0]],
        [[1], [0], [3]],
        [[5, 0], [0, 1 << 63], [0, 0]],
    ],
)
@pytest.mark.parametrize("again", [False, True])
def test_positions_and_cycles(rows: list[list[int]], again: bool) -> None:
    found, cycles = scan(rows, len(rows[0]) * SCAN_BITS, again=again)
    assert found == set_bits(rows)
    assert cycles == 2 + sum(max(1, n) for n in popcounts(rows))


@settings(max_examples=25)
@given(
    st.integers(1, 3).flatmap(
        lambda chunks: st.lists(
            st.lists(
                st.one_of(st.integers(0, ALL), st.sampled_from([0, 1, ALL])),
                min_size=chunks,
                max_size=chunks,
            ),
            min_size=1,
            max_size=3,
        )
    )
)
def test_any_rows(rows: list[list[int]]) -> None:
    found, cycles = scan(rows, len(rows[0]) * SCAN_BITS)
    assert found == set_bits(rows)
    assert cycles == 2 + sum(max(1, n) for n in popcounts(rows))


@pytest.mark.parametrize("bits", [1, 20, 63, 64, 65, 100, 128])
def test_dense_visits_what_exists(bits: int) -> None:
    chunks = -(-bits // SCAN_BITS)
    rng = np.random.default_rng(bits)
    row = [
        int(rng.integers(0, 1 << 63)) & ((1 << min(SCAN_BITS, bits - c * SCAN_BITS)) - 1)
        for c in range(chunks)
    ]
    found, cycles = scan([row], bits, dense=True)
    assert found == [(0, i, row[i // SCAN_BITS] >> i % SCAN_BITS & 1) for i in range(bits)]
    assert cycles == 2 + bits


@settings(max_examples=25)
@given(
    st.lists(st.integers(0, 255), min_size=2, max_size=2), st.sets(st.integers(0, 40), max_size=25)
)
def test_holding_costs_its_cycles_and_loses_nothing(row: list[int], hold: set[int]) -> None:
    rows = [row]
    free = scan(rows, 2 * SCAN_BITS)[1]
    found, cycles = scan(rows, 2 * SCAN_BITS, hold=sorted(hold))
    assert found == set_bits(rows)
    assert free <= cycles <= free + len(hold)
