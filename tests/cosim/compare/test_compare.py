"""A planted difference is found in every field and named; all is counted; no proof of nothing."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from spikeloop.cosim.backend import Backend
from spikeloop.cosim.backends import Golden, Pysim
from spikeloop.cosim.compare.chunk import decisions
from spikeloop.cosim.compare.compare import Case, compare
from spikeloop.cosim.compare.diff import Side, diff
from spikeloop.cosim.compare.pair import Difference
from spikeloop.pysim.chip.memory_map import COUNTERS
from spikeloop.pysim.common.bits import pack, unpack
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.network.readout import Readout
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace
from tests.cosim.conftest import Small, small_network


class Planted(Backend):
    """Edits the traces of another backend by ``edit(trace, base)``; base: samples run before."""

    name = "planted"

    def __init__(self, inner: Backend, edit: Callable[[Trace, int], None]) -> None:
        self.inner, self.edit, self.done = inner, edit, 0

    def run(self, stimulus: Stimulus, *, membranes: bool = True) -> Trace:
        trace = copy(self.inner.run(stimulus, membranes=membranes))
        self.edit(trace, self.done)
        self.done += stimulus.samples
        return trace


def copy(trace: Trace) -> Trace:
    return Trace(
        *(
            {k: v.copy() for k, v in part.items()}
            for part in (trace.spikes, trace.membranes, trace.counters)
        )
    )


def flip(trace: Trace, sample: int, step: int, population: str, neuron: int) -> None:
    trace.spikes[population][sample, step, neuron >> 3] ^= 1 << (neuron & 7)


def run_pair(small: Small, edit: Callable[[Trace, int], None], **options: object):
    openers = {
        "golden": lambda: Golden(small.network),
        "pysim": lambda: Pysim(small.image),
        "planted": lambda: Planted(Pysim(small.image), edit),
    }
    names = options.pop("names", ("pysim", "planted"))
    case = Case(small.network, small.stimulus, membranes=options.pop("membranes", True))
    return compare(case, names, lambda name: openers[name](), **{"workers": 1, **options})


@pytest.fixture(scope="module")
def truth(small: Small) -> Trace:
    return Pysim(small.image).run(small.stimulus)


@pytest.mark.parametrize("chunk", [1, 2, 6])
@pytest.mark.parametrize(
    "population, start, neuron", [("hidden1", 0, 8), ("hidden1", 0, 0), ("output", 1, 2)]
)
@pytest.mark.parametrize("sample, step", [(0, 0), (3, 2), (5, 4)])
def test_one_spike_is_found_and_named(
    small: Small,
    truth: Trace,
    chunk: int,
    population: str,
    start: int,
    neuron: int,
    sample: int,
    step: int,
) -> None:
    def edit(trace: Trace, base: int) -> None:
        if base <= sample < base + chunk:
            flip(trace, sample - base, step, population, neuron)

    result = run_pair(small, edit, chunk=chunk)
    expected = int(
        unpack(truth.spikes[population][sample, step], small.network.population(population).size)[
            neuron
        ]
    )
    assert result.first == Difference(
        "pysim",
        "planted",
        sample,
        step + start,
        step,
        0,
        population,
        neuron,
        "spike",
        expected,
        1 - expected,
    )
    assert (
        result.different
        == result.pairs[0].neuron_ticks_different
        == result.pairs[0].spikes_different
        == 1
    )
    assert result.pairs[0].membranes_different == 0
    assert not result.equal


@pytest.mark.parametrize("by", [1, -1, 1 << 23])
@pytest.mark.parametrize("population, start, neuron", [("hidden1", 0, 4), ("output", 1, 0)])
def test_one_membrane_is_found_and_named(
    small: Small, truth: Trace, population: str, start: int, neuron: int, by: int
) -> None:
    def edit(trace: Trace, base: int) -> None:
        trace.membranes[population][4, 3, neuron] += by

    result = run_pair(small, edit, chunk=6)
    value = int(truth.membranes[population][4, 3, neuron])
    assert result.first == Difference(
        "pysim", "planted", 4, 3 + start, 3, 0, population, neuron, "membrane", value, value + by
    )
    assert (
        result.different,
        result.pairs[0].spikes_different,
        result.pairs[0].membranes_different,
    ) == (1, 0, 1)


@pytest.mark.parametrize("counter", [name for name in COUNTERS if name != "stalls"])
def test_one_counter_is_found_and_named(small: Small, truth: Trace, counter: str) -> None:
    def edit(trace: Trace, base: int) -> None:
        trace.counters[counter][2, 5] += 7

    result = run_pair(small, edit, chunk=6)
    value = int(truth.counters[counter][2, 5])
    assert result.first == Difference(
        "pysim", "planted", 2, 5, None, 0, None, None, counter, value, value + 7
    )
    assert result.different == result.pairs[0].counters_different[counter] == 1
    assert result.pairs[0].neuron_ticks_different == 0


def test_stalls_are_the_environments_and_cycles_are_compared_without_them(small: Small) -> None:
    def edit(trace: Trace, base: int) -> None:
        trace.counters["stalls"] += 3
        trace.counters["cycles"] += 3

    result = run_pair(small, edit)
    assert result.different == 0
    assert result.total("cycles", "planted") == result.total("cycles", "pysim")


def test_golden_saturations_stand_at_the_ticks_of_the_chip(small: Small) -> None:
    """A population that saturates at every step, one tick late, sums up equally per tick."""
    limit = (1 << 23) - 1
    output = replace(
        small.network.populations[1],
        bias=np.full((1, 3), limit),
        fire=np.array([True, False, True]),
        v_th=np.full((1, 3), 1),
    )
    network = replace(small.network, populations=(small.network.populations[0], output))
    from spikeloop.pysim.image.pack import pack as pack_image

    image = pack_image(network, chip=small.image.chip)
    a, b = Golden(network).run(small.stimulus), Pysim(image).run(small.stimulus)
    assert a.counters["saturations"][:, 0].sum() == 0
    assert a.counters["saturations"][:, 1:].sum() > 0
    pair = diff(network, Side("golden", a), Side("pysim", b))
    assert pair.different == 0
    assert set(pair.counters_different) == {"saturations", "spikes_out"}


def test_the_first_difference_is_the_earliest(small: Small) -> None:
    def edit(trace: Trace, base: int) -> None:
        flip(trace, 5, 0, "hidden1", 1)
        flip(trace, 2, 3, "hidden1", 2)  # tick 3
        flip(trace, 2, 3, "output", 0)  # tick 4
        trace.counters["sops"][2, 3] += 1  # tick 3 too: the neuron says more
        trace.membranes["hidden1"][2, 4, 0] += 1

    result = run_pair(small, edit, chunk=6)
    first = result.first
    assert (first.sample, first.tick, first.population, first.neuron, first.field) == (
        2,
        3,
        "hidden1",
        2,
        "spike",
    )
    assert result.pairs[0].neuron_ticks_different == 4
    assert result.different == 5


def test_a_counter_that_the_reference_does_not_know_is_compared_with_the_first_that_does(
    small: Small,
) -> None:
    """Golden counts no cycles: those of a chip are compared with those that pysim predicts."""

    def edit(trace: Trace, base: int) -> None:
        trace.counters["cycles"][1, 1] += 1

    result = run_pair(small, edit, names=("golden", "pysim", "planted"), chunk=6)
    assert (result.first.reference, result.first.backend, result.first.field) == (
        "pysim",
        "planted",
        "cycles",
    )
    assert (result.first.sample, result.first.tick) == (1, 1)
    assert [pair.different for pair in result.pairs] == [0, 1]
    assert len(result.pairs[1].counters_different) == len(COUNTERS) - 1


def test_denominators(small: Small) -> None:
    result = run_pair(
        small, lambda trace, base: None, names=("golden", "pysim", "planted"), chunk=4, workers=2
    )
    assert result.neuron_ticks == 6 * 5 * (9 + 3)
    assert [pair.neuron_ticks for pair in result.pairs] == [360, 360]
    assert result.pairs[0].counter_values == 2 * 6 * 6  # golden knows two counters, at six ticks
    assert "360 neuron-ticks compared, 0 different" in str(result.pairs[0])
    assert (result.samples, result.ticks, result.different, result.equal) == (6, 36, 0, True)
    assert result.cycles_predicted == int(
        Pysim(small.image).run(small.stimulus).counters["cycles"].sum()
    )
    assert result.cycles_measured is None
    assert result.accuracy["golden"] == result.accuracy["pysim"] is not None


def test_chunks_and_workers_change_nothing(small: Small) -> None:
    def edit(trace: Trace, base: int) -> None:
        trace.counters["sops"] += 1

    results = [
        run_pair(small, edit, chunk=chunk, workers=workers).to_dict()
        for chunk, workers in ((6, 1), (1, 1), (1, 3), (4, 2))
    ]
    for result in results:
        del result["seconds"], result["busy_seconds"]
    assert results[0]["different"] == 36
    assert all(result == results[0] for result in results)


def test_spikes_alone(small: Small) -> None:
    def edit(trace: Trace, base: int) -> None:
        assert not trace.membranes

    result = run_pair(small, edit, membranes=False)
    assert result.equal
    assert "spikes only" in str(result.pairs[0])


def test_a_silent_population_fails(small: Small) -> None:
    network = small_network("quiet", v_th=1 << 20)
    result = compare(Case(network, small.stimulus), ["a", "b"], lambda name: Golden(network))
    assert result.different == 0
    assert result.silent == ["hidden1", "output"]
    assert not result.equal
    assert (
        "population 'hidden1' must spike at least once in the run, not stay silent"
        in result.failures()[0]
    )
    assert result.verdict == "unproven"
    case = Case(network, small.stimulus, allow_silent=True)
    accepted = compare(case, ["a", "b"], lambda name: Golden(network))
    assert (accepted.equal, accepted.verdict) == (True, "equal")
    assert accepted.silent == ["hidden1", "output"]


def test_a_population_that_may_not_fire_may_be_silent(small: Small) -> None:
    hidden = small.network.populations[0]
    output = replace(small.network.populations[1], fire=np.zeros(3, bool))
    network = replace(small.network, populations=(hidden, output), readout="membrane")
    assert compare(Case(network, small.stimulus), ["a", "b"], lambda name: Golden(network)).equal


def test_dropped_events_fail(small: Small) -> None:
    def edit(trace: Trace, base: int) -> None:
        trace.counters["dropped"] += 1

    result = run_pair(
        small, edit, names=("golden", "planted")
    )  # golden does not know the counter: still no pass
    assert result.different == 0
    assert not result.equal


@pytest.mark.parametrize(
    "names, message",
    [
        ((), "at least 2, not 0"),
        (("golden",), "at least 2, not 1 (golden)"),
        (("golden", "golden"), "must be different ones, not golden, golden"),
    ],
)
def test_too_few_backends(small: Small, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError) as error:
        run_pair(small, lambda trace, base: None, names=names)
    assert message in str(error.value)


def test_no_samples(small: Small) -> None:
    with pytest.raises(InputError, match=r"samples to compare must be at least 1, not 0"):
        compare(
            Case(small.network, small.stimulus.take(slice(0))),
            ["a", "b"],
            lambda name: Golden(small.network),
        )


@pytest.mark.parametrize(
    "spoil, message",
    [
        (
            lambda t: t.membranes.pop("output"),
            "trace of planted must hold the membranes of population 'output', not only hidden1",
        ),
        (
            lambda t: t.spikes.pop("hidden1"),
            "trace of planted must hold the spikes of population 'hidden1', not only output",
        ),
        (
            lambda t: t.spikes.update(output=t.spikes["output"][:, :4]),
            "must be of shape (6, 5, 1), not (6, 4, 1)",
        ),
        (
            lambda t: t.membranes.update(output=t.membranes["output"][:, :4]),
            "must be of one shape in pysim and planted",
        ),
        (
            lambda t: t.counters.update(sops=t.counters["sops"][:, 1:]),
            "counter 'sops' in the trace of planted must be of shape (6, 6)",
        ),
        (
            lambda t: flip(t, 0, 0, "output", 7),
            "padding bits of the spikes of population 'output' must be 0",
        ),
    ],
)
def test_less_than_asked_for_is_no_pass(
    small: Small, spoil: Callable[[Trace], object], message: str
) -> None:
    with pytest.raises(InputError) as error:
        run_pair(small, lambda trace, base: spoil(trace), chunk=6)
    assert message in str(error.value)


def test_an_error_of_a_backend_is_not_lost_among_workers(small: Small) -> None:
    def edit(trace: Trace, base: int) -> None:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        run_pair(small, edit, chunk=1, workers=2)


def test_decisions_by_spikes_and_by_membrane() -> None:
    network = small_network()
    spikes = np.zeros((3, 5, 3), np.uint8)
    spikes[0, :2, 1] = 1
    spikes[1, 0] = 1  # all equal: the first
    spikes[2, 4, 2] = 1
    membranes = np.zeros((3, 5, 3), np.int32)
    membranes[:, :4] = 9
    membranes[0, 4], membranes[1, 4], membranes[2, 4] = (-5, -4, -6), (1, 2, 2), (7, 0, 0)
    trace = Trace({"output": pack(spikes)}, {"output": membranes})
    assert decisions(Readout.of(network), trace).tolist() == [1, 0, 2]
    by_membrane = Readout.of(replace(network, readout="membrane"))
    assert decisions(by_membrane, trace).tolist() == [1, 1, 0]
    assert decisions(by_membrane, Trace(trace.spikes)) is None


def test_a_network_of_many_samples_stays_in_chunks(small: Small) -> None:
    """The samples go through in pieces: no backend ever sees all of them."""
    sizes: list[int] = []

    class Counting(Golden):
        def run(self, stimulus: Stimulus, *, membranes: bool = True) -> Trace:
            sizes.append(stimulus.samples)
            return super().run(stimulus, membranes=membranes)

    network: Network = small.network
    many = small.stimulus.take(np.resize(np.arange(6), 1100))
    result = compare(Case(network, many), ["a", "b"], lambda name: Counting(network), workers=2)
    assert result.neuron_ticks == 1100 * 5 * 12
    assert max(sizes) <= 250
