"""Proofs: what holds is proved, what does not is refuted, and a timeout is neither."""

from amaranth.hdl import Signal

from spikeloop.cosim.audit.bench import Bench
from spikeloop.cosim.audit.proof import bounded, prove


def counter(most: int) -> Bench:
    """Counts the cycles behind the reset in which its input was 1: at most 5, says the bench."""
    bench = Bench()
    step, count = bench.free(1, "step"), Signal(4)
    with bench.m.If(step & (count != most)):
        bench.m.d.sync += count.eq(count + 1)
    bench.check("small", count <= 5)
    bench.check("true", 1)
    return bench


def test_every_cycle() -> None:
    assert str(prove(counter(5))) == "proved"
    assert str(prove(counter(6))) == "refuted(7)"


def test_the_first_cycles() -> None:
    assert str(bounded(counter(6), 7)) == "bounded(7)"
    refuted = bounded(counter(6), 8)
    assert (str(refuted), refuted.check) == ("refuted(7)", "small")


def test_one_broken_assumption_excuses_all_that_follows() -> None:
    def bench(assumed: bool) -> Bench:
        bench = Bench()
        step, seen = bench.free(1, "step"), Signal()
        bench.m.d.sync += seen.eq(seen | step)
        if assumed:
            bench.assume(~step)
        bench.check("unseen", ~seen)
        return bench

    assert prove(bench(True)).verdict == "proved"  # at any time behind a step, too
    assert str(prove(bench(False))) == "refuted(2)"


def test_equal_registers_alone_are_a_proof() -> None:
    bench = Bench()
    step, a, b = bench.free(1, "step"), Signal(8), Signal(8)
    bench.m.d.sync += [a.eq(a + step), b.eq(b + step)]
    bench.check("equal", a == b)
    result = prove(bench)
    assert (result.verdict, result.engine) == ("proved", "scorr")


def test_what_takes_too_long_is_no_proof() -> None:
    bench = Bench(combinational=True)
    a, b = bench.free(20, "a"), bench.free(20, "b")
    bench.check("product", ((a + b) * (a - b))[:24] == (a * a - b * b)[:24])
    assert str(prove(bench, limit=1)) == "timeout"


def test_constants_keep_their_value() -> None:
    bench = Bench()
    value = bench.constant(4, "value")
    before = bench.past(value, "before")
    bench.check("same", ~bench.past(1, "later") | (before == value) | bench.past(bench.first, "f"))
    assert prove(bench).verdict == "proved"


def test_registers_of_a_combinational_bench_pass_their_input_on() -> None:
    bench = Bench(combinational=True)
    a, register = bench.free(8, "a"), Signal(8, reset_less=True)
    bench.m.d.sync += register.eq(a + 1)
    bench.check("at once", register == (a + 1)[:8])
    assert prove(bench).verdict == "proved"
    bench = Bench(combinational=True)
    a, register = bench.free(8, "a"), Signal(8, reset_less=True)
    bench.m.d.sync += register.eq(a + 1)
    bench.check("late", register == a)
    assert str(prove(bench)) == "refuted(0)"
