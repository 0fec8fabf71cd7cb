"""pysim/model/ticks/arith.py against its definitions on Python's integers."""

import math
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spikeloop.pysim.model.ticks.arith import leak, low_bound, saturate, shift_right

words = st.integers(-(1 << 31), (1 << 31) - 1)
flag = st.booleans()


def array(x: int) -> np.ndarray:
    return np.array([x], np.int64)


@given(st.integers(-(1 << 40), 1 << 40), st.integers(8, 32))
def test_saturate(x: int, bits: int) -> None:
    assert saturate(array(x), bits)[0] == max(-(2 ** (bits - 1)), min(x, 2 ** (bits - 1) - 1))


@given(words, st.integers(0, 32))
def test_shift_right(v: int, m: int) -> None:
    exact = Fraction(v, 2**m)
    yes, no = array(1), array(0)
    assert shift_right(array(v), array(m))[0] == math.floor(exact)
    assert shift_right(array(v), array(m), no, no)[0] == math.floor(exact)
    assert shift_right(array(v), array(m), yes, no)[0] == math.trunc(exact)
    least = math.trunc(exact) or (v > 0) - (v < 0)
    assert shift_right(array(v), array(m), yes, yes)[0] == least


@given(
    words, flag, st.lists(st.tuples(st.sampled_from([-1, 0, 1]), st.integers(0, 32)), max_size=3)
)
def test_leak_rounds_each_term_alone(v: int, k0: bool, terms: list[tuple[int, int]]) -> None:
    got = leak(array(v), np.array([k0]), [(array(s), array(m)) for s, m in terms], None, None)
    assert got[0] == (v if k0 else 0) + sum(s * math.floor(Fraction(v, 2**m)) for s, m in terms)


@given(words, words, words, flag)
def test_low_bound(u: int, v_low: int, value: int, add: bool) -> None:
    assert low_bound(array(u), array(v_low), array(value), np.array([add]))[0] == (
        u if u >= v_low else u + value if add else value
    )
