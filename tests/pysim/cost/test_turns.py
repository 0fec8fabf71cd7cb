"""pysim.cost.turns: no bank is overwritten in use, nothing runs before it can, no time is lost."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloop.pysim.bundle.program import Program, compile_program
from spikeloop.pysim.chip.memory_map import MemoryMap
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.cost.turns import Job, Schedule, jobs, order, schedule
from spikeloop.pysim.cost.work import measure
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.image.loading import load_rows, load_words
from spikeloop.pysim.model.core import Core
from spikeloop.pysim.traces.trace import Trace
from tests.pysim.mapping.test_partition import CHIP, conv_network, stimulus


@st.composite
def job_lists(draw: st.DrawFn) -> list[Job]:
    """1 to 9 jobs of 1 to 5 samples, in random order; each listens to some of the others."""
    count, samples = draw(st.integers(1, 9)), draw(st.integers(1, 5))
    place = draw(st.permutations(range(count)))
    found: dict[int, Job] = {}
    for i in range(count):
        sources = draw(st.sets(st.integers(0, i - 1), max_size=3)) if i else set()
        run = draw(st.lists(st.integers(1, 40), min_size=samples, max_size=samples))
        load = draw(st.integers(1, 60))
        found[place[i]] = Job(
            name=f"job{i}",
            load=load,
            run=np.array(run),
            sources=frozenset(place[s] for s in sources),
        )
    return [found[i] for i in range(count)]


def check(s: Schedule) -> None:
    """Every rule of the module's docstring, from the turns alone."""
    ended = {(t.batch, t.part): t.end for t in s.turns}
    batches = -(-s.samples // s.batch)
    assert len(s.turns) == len(ended) == batches * len(s.jobs)
    for t in s.turns:
        job = s.jobs[t.part]
        assert t.end - t.begin == job.run[t.batch * s.batch : (t.batch + 1) * s.batch].sum()
        assert all(ended[t.batch, source] <= t.begin for source in job.sources), (
            "run before its sources"
        )
        assert t.load is None or (t.load[1] - t.load[0] == job.load and t.load[1] <= t.begin), (
            "run before its image is there"
        )
    for core in range(s.cores):
        runs = sorted((t.begin, t.end) for t in s.turns if t.core == core)
        assert all(a[1] <= b[0] for a, b in zip(runs, runs[1:], strict=False)), (
            "two runs at once on a core"
        )
        for bank in (0, 1):
            here = [t for t in s.turns if (t.core, t.bank) == (core, bank)]
            assert not here or here[0].load is not None
            for a, b in zip(here, here[1:], strict=False):
                if b.load is None:
                    assert a.part == b.part, "another image lies in the bank"
                else:
                    assert b.load[0] >= a.end, "bank overwritten while in use"
    for port in range(s.ports):
        loads = sorted(t.load for t in s.turns if t.load and t.core % s.ports == port)
        assert all(a[1] <= b[0] for a, b in zip(loads, loads[1:], strict=False)), (
            "two loads at once on a port"
        )


def least(s: Schedule) -> int:
    """Cycles below which no schedule can be.

    The work of a core, of a port, and the longest chain of a batch after one load.
    """
    chains = []
    for batch in range(-(-s.samples // s.batch)):
        longest = [0] * len(s.jobs)
        for i in order(s.jobs):
            job = s.jobs[i]
            run = int(job.run[batch * s.batch : (batch + 1) * s.batch].sum())
            longest[i] = run + max(
                (longest[source] for source in job.sources), default=0 if batch else job.load
            )
        chains.append(max(longest))
    return max(-(-s.running // s.cores), -(-s.loading // s.ports), *chains)


@given(job_lists(), st.integers(1, 4), st.integers(1, 6), st.integers(1, 4))
def test_rules_and_bounds(given_jobs: list[Job], cores: int, batch: int, ports: int) -> None:
    s = schedule(given_jobs, cores=cores, batch=batch, ports=ports)
    check(s)
    assert least(s) <= s.total <= s.running + s.loading
    assert 0 <= s.hidden <= s.loading
    if cores == 1:  # always something runs or is loaded
        assert s.total == s.running + s.loading - s.hidden


@given(job_lists())
def test_all_samples_on_one_load_are_never_slower_on_one_core(given_jobs: list[Job]) -> None:
    single, whole = (schedule(given_jobs, batch=batch) for batch in (1, len(given_jobs[0].run)))
    assert whole.loading == sum(job.load for job in given_jobs) <= single.loading
    assert whole.running == single.running
    assert whole.total <= single.total


def test_ping_pong_by_hand() -> None:
    three = [
        Job(name=n, load=load, run=np.array(run), sources=frozenset(sources))
        for n, load, run, sources in (
            ("a", 10, [4, 4], []),
            ("b", 5, [20, 20], [0]),
            ("c", 30, [6, 6], [1]),
        )
    ]
    s = schedule(three, batch=2)
    assert [(t.core, t.bank, t.load, t.begin, t.end) for t in s.turns] == [
        (0, 0, (0, 10), 10, 18),
        (0, 1, (10, 15), 18, 58),
        (0, 0, (18, 48), 58, 70),
    ]
    assert (s.total, s.running, s.loading, s.hidden) == (70, 60, 45, 35)
    # sample by sample: c's bank is free of a's run only when that has ended, and so on around
    assert [(t.load, t.begin, t.end) for t in schedule(three).turns] == [
        ((0, 10), 10, 14),
        ((10, 15), 15, 35),
        ((15, 45), 45, 51),
        ((45, 55), 55, 59),
        ((55, 60), 60, 80),
        ((60, 90), 90, 96),
    ]


def test_two_images_stay_in_two_banks() -> None:
    two = [
        Job(name="a", load=100, run=np.ones(50, np.int64)),
        Job(name="b", load=100, run=np.ones(50, np.int64), sources=frozenset({0})),
    ]
    s = schedule(two)
    assert s.loading == 200 and sum(t.load is None for t in s.turns) == 98


def test_independent_jobs_spread_over_cores() -> None:
    eight = [Job(name=f"{i}", load=10, run=np.full(1, 100)) for i in range(8)]
    assert schedule(eight, cores=8, ports=8).total == 110
    assert schedule(eight, cores=8, ports=1).total == 180  # one port fills one bank after another
    assert {t.core for t in schedule(eight, cores=8, ports=1).turns} == set(range(8))


def test_circle_is_refused() -> None:
    def job(name: str, *sources: int) -> Job:
        return Job(name=name, load=1, run=np.ones(1, np.int64), sources=frozenset(sources))

    with pytest.raises(
        InputError, match=r"must not listen to each other in a circle, as 'b', 'c' do"
    ):
        schedule([job("a"), job("b", 0, 2), job("c", 1)])
    with pytest.raises(InputError, match=r"in a circle, as 'a' do"):
        schedule([job("a", 0)])
    with pytest.raises(InputError, match=r"sources of part 'a' must be in 0\.\.0"):
        schedule([job("a", 3)])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"cores": 0}, "cores of a schedule must be at least 1, not 0"),
        ({"batch": 0}, "batch of a schedule"),
        ({"ports": -1}, "load ports of a schedule"),
    ],
)
def test_bad_numbers_are_refused(change: dict[str, int], says: str) -> None:
    with pytest.raises(InputError, match=says):
        schedule([Job(name="a", load=1, run=np.ones(1, np.int64))], **change)


def test_no_parts_and_unequal_samples_are_refused() -> None:
    with pytest.raises(InputError, match="at least one part"):
        schedule([])
    with pytest.raises(InputError, match="same samples, at least 1, not of 1, 2"):
        schedule([Job(name=n, load=1, run=np.ones(k, np.int64)) for n, k in (("a", 1), ("b", 2))])


# -- from a program ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def program() -> Program:
    found = compile_program(conv_network(np.random.default_rng(3)), CHIP)
    assert isinstance(found, Program)
    return found


def test_jobs_of_a_program(program: Program, rng: np.random.Generator) -> None:
    work = measure(program, stimulus(rng, conv_network(np.random.default_rng(3))))
    found = jobs(program, work.cycles)
    assert order(found) == list(range(len(found)))  # partition gives them in such an order
    for job, part in zip(found, program.parts, strict=True):
        for (
            name,
            lines,
        ) in (
            part.lines.items()
        ):  # the parts listened to hold the lines, and each of them one at least
            holders = [
                i
                for i, other in enumerate(program.parts)
                if name in other.neurons and np.isin(lines, other.neurons[name]).any()
            ]
            assert set(holders) <= job.sources
            held = [program.parts[i].neurons[name] for i in holders]
            assert name == "image" or np.isin(lines, np.concatenate(held)).all()
    s = schedule(found, batch=4)
    check(s)
    assert s.running == work.cycles.sum() and s.total < s.running + s.loading
    assert json.loads(json.dumps(s.to_dict()))["total"] == s.total
    assert len(s.text().splitlines()) == len(s.turns) + 1


def test_a_circle_of_parts_is_refused(program: Program) -> None:
    first = next(i for i, part in enumerate(program.parts) if "image" in part.lines)
    part = program.parts[first]
    spoilt = replace(part, lines={**part.lines, "out": np.arange(3)})
    parts = (*program.parts[:first], spoilt, *program.parts[first + 1 :])
    with pytest.raises(InputError, match="must not listen to each other in a circle"):
        schedule(jobs(replace(program, parts=parts), np.ones((len(parts), 1), np.int64)))


def test_words_to_load_are_those_that_a_run_reads(
    program: Program, rng: np.random.Generator
) -> None:
    """Behind the rows that are loaded lies garbage, and the chip model does not see it."""
    network = conv_network(np.random.default_rng(3))
    stim = stimulus(rng, network)
    spoilt = []
    for part in program.parts:
        image, memories = part.image, {}
        for memory in MemoryMap(image.chip).loaded:
            rows = image.rows(memory.name).copy()
            rows[load_rows(image, memory) :] = rng.integers(
                0, 256, rows[load_rows(image, memory) :].shape, dtype=np.uint8
            )
            memories[memory.name] = rows
        assert load_words(image) < sum(
            len(image.rows(m.name)) * m.chunks for m in MemoryMap(image.chip).loaded
        )
        spoilt.append(replace(part, image=replace(image, memories=memories)))
    garbage = replace(program, parts=tuple(spoilt))

    def run(bundle: Program) -> Trace:
        return bundle.run(stim, lambda i, part: Core(bundle.parts[i].image).run(part))

    a, b = run(program), run(garbage)
    for name in a.membranes:
        np.testing.assert_array_equal(a.spikes[name], b.spikes[name])
        np.testing.assert_array_equal(a.membranes[name], b.membranes[name])
    for name in a.counters:
        np.testing.assert_array_equal(a.counters[name], b.counters[name])


def test_an_image_is_one_job(rng: np.random.Generator) -> None:
    image = compile_program(conv_network(rng), CHIP.replace(axons=1024, columns=1024, lanes=64))
    assert isinstance(image, Image)
    (job,) = jobs(image, np.full((1, 3), 7))
    s = schedule([job])
    assert s.total == load_words(image) + 21 and s.loading == load_words(image)
