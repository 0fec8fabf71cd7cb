"""A network on a mesh against golden, the cycles of chains, and what cannot be mapped."""

from dataclasses import replace

import numpy as np
import pytest

from spikeloop.golden.reference import integer
from spikeloop.pysim.bundle.mesh import map_mesh
from spikeloop.pysim.chip.memory_map import MemoryMap
from spikeloop.pysim.chip.params import PRESETS, Chip
from spikeloop.pysim.chip.records import ROUTE_LOCAL, ROUTE_OUT, ROUTE_PACKET
from spikeloop.pysim.common.bits import pack, unpack
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.model.core import Core
from spikeloop.pysim.model.mesh import MeshModel
from spikeloop.pysim.network.elements import Edge, Input, Population
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.campaigns.regression.mesh.cases import features, mesh_case, mesh_cases
from tests.make import small
from tests.make.small import spontaneous_network, spontaneous_stimulus

CHIP = Chip(axons=130, columns=64, lanes=8, membrane_bits=10, chain=256)
PAGED = CHIP.replace(pages=4, page_shift=2)
SIDES = [(2, 2), (3, 2), (4, 4), (1, 5)]
LEAN = replace(small.CHIP, mesh_width=2, mesh_height=2, chain=8)


def everything(network: Network) -> dict[str, np.ndarray]:
    return {p.name: np.arange(p.size) for p in network.populations}


@pytest.mark.parametrize("engine", ["numpy", None])
@pytest.mark.parametrize(("width", "height"), SIDES)
def test_golden_equals_the_model(width: int, height: int, engine: str | None, seed: int) -> None:
    chip, compared, spikes = PAGED.replace(mesh_width=width, mesh_height=height), 0, 0
    for i in range(3):
        case = mesh_case(np.random.default_rng([seed, width, height, i]), chip, engine=engine)
        network, trace = case.network, case.image.gather(case.traces)
        golden = integer.run(network, case.stimulus.dense(network))
        for p in network.populations:
            assert np.array_equal(unpack(trace.spikes[p.name], p.size), golden.spikes[p.name]), (
                seed,
                i,
                p.name,
            )
            assert np.array_equal(trace.membranes[p.name], golden.membranes[p.name]), (
                seed,
                i,
                p.name,
            )
            compared += golden.spikes[p.name].size
        spikes += int(trace.counters["spikes_out"].sum())
        assert trace.counters["saturations"].sum() == sum(
            s.sum() for s in golden.saturations.values()
        )
    print(f"{compared:,} neuron-steps compared, {spikes:,} spikes")
    assert spikes


def test_the_cases_of_the_regression_have_every_feature() -> None:
    found = [features(case) for case in mesh_cases(CHIP.replace(mesh_width=3, mesh_height=2))]
    assert all(sum(f[name] for f in found) for name in found[0]), found


@pytest.mark.parametrize("inputs", [True, False])
def test_cores_without_inputs_are_legal(rng: np.random.Generator, inputs: bool) -> None:
    """The clock neurons of core 0 hear nobody.

    In one of the two networks no core hears the outside.
    """
    network = spontaneous_network(rng, 6, inputs)
    whole = {p.name: np.arange(p.size) for p in network.populations}
    shares = [{name: neurons} for name, neurons in whole.items()]
    image = map_mesh(network, PRESETS["tiny"].replace(mesh_width=2, mesh_height=2), shares)
    assert not image.cores[0].lines
    stimulus = spontaneous_stimulus(rng, inputs, samples=3)
    golden = integer.run(network, stimulus.dense(network), samples=3)
    for engine in ("numpy", None):
        trace = image.gather(MeshModel(image, engine).run(stimulus))
        for name, spikes in golden.spikes.items():
            np.testing.assert_array_equal(trace.spikes[name], pack(spikes), err_msg=name)
            np.testing.assert_array_equal(trace.membranes[name], golden.membranes[name])
            assert spikes.any()


def test_samples_are_independent_of_their_company(seed: int) -> None:
    case = mesh_case(
        np.random.default_rng(seed),
        CHIP.replace(mesh_width=2, mesh_height=2),
        samples=4,
        engine=None,
    )
    alone = [case.model.run(case.stimulus.take(slice(i, i + 1))) for i in range(4)]
    for n, trace in enumerate(case.traces):
        for name in trace.counters:
            assert np.array_equal(
                trace.counters[name], np.concatenate([t[n].counters[name] for t in alone])
            )


def test_one_core_that_holds_all_needs_no_reason() -> None:
    chip = small.CHIP.replace(mesh_width=2)
    assert map_mesh(star(targets=1), chip).reason is None
    reason = map_mesh(star(targets=3), chip.replace(mesh_height=3, columns=8)).reason
    assert reason and reason.startswith("words of network 'star' must be at most 1 (8 columns")


def star(*, targets: int, delay: int = 1) -> Network:
    """One neuron a that always spikes, and ``targets`` neurons that listen to it."""
    listeners = [Population.make(f"t{i}", 1, weight_bits=4, start=1) for i in range(targets)]
    populations = [Population.make("a", 1, weight_bits=4, v_th=0), *listeners]
    edges = [
        Edge(source="x", target="a", weights=np.ones((1, 1), np.int32)),
        *(
            Edge(source="a", target=f"t{i}", weights=np.ones((1, 1), np.int32), delay=delay - 1)
            for i in range(targets)
        ),
    ]
    return Network(
        name="star",
        inputs=(Input(name="x", size=1),),
        populations=tuple(populations),
        edges=tuple(edges),
        steps=3,
        output="t0",
        membrane_bits=12,
    )


def test_a_spike_takes_a_cycle_per_entry() -> None:
    """Neuron a spikes in three ticks: to its own core.

    Or also to two others, which form no rectangle with each other.
    """
    alone, joined = star(targets=1), star(targets=3)
    near = map_mesh(alone, LEAN, [everything(alone)])
    far = map_mesh(
        joined,
        LEAN,
        [{"a": np.arange(1), "t0": np.arange(1)}, {"t1": np.arange(1)}, {"t2": np.arange(1)}],
    )
    routes = [Core(image.cores[0].image).neurons.route for image in (near, far)]
    assert [r["kind"][r["neuron"] == 0].tolist() for r in routes] == [
        [ROUTE_LOCAL],
        [ROUTE_PACKET, ROUTE_PACKET, ROUTE_LOCAL],
    ]
    stimulus = Stimulus.pack({"x": np.zeros((1, 3, 1), np.uint8)})
    for engine in ("numpy", None):
        near_cycles, far_cycles = (
            MeshModel(image, engine).run(stimulus)[0].counters["cycles"] for image in (near, far)
        )
        assert (far_cycles - near_cycles).tolist() == [[2, 2, 2, 0]]


def test_the_output_leaves_beside_its_packets() -> None:
    network = replace(star(targets=2), output="a")
    image = map_mesh(
        network, LEAN, [{"a": np.arange(1)}, {"t0": np.arange(1)}, {}, {"t1": np.arange(1)}]
    )
    route = Core(image.cores[0].image).neurons.route
    assert sorted(route["kind"].tolist()) == [ROUTE_OUT, ROUTE_PACKET]
    packet = int(np.flatnonzero(route["kind"] == ROUTE_PACKET)[0])
    assert [int(route[side][packet]) for side in ("x0", "y0", "x1", "y1")] == [
        1,
        0,
        1,
        1,
    ]  # one packet for both cores
    spikes = MeshModel(image).run(Stimulus.pack({"x": np.zeros((1, 3, 1), np.uint8)}))
    assert [
        unpack(spikes[n].spikes[name], 1).ravel().tolist() for n, name in ((1, "t0"), (3, "t1"))
    ] == [[1, 1, 1]] * 2


def test_a_core_without_neurons_walks_its_words() -> None:
    network = small.network()
    image = map_mesh(network, LEAN, [everything(network)])
    traces = MeshModel(image).run(Stimulus.pack({"x": np.ones((1, 4, 3), np.uint8)}))
    d = LEAN.derived
    assert set(traces[3].counters["cycles"].ravel().tolist()) == {
        1 + 2 * d.words + 1 + 1 + 4 + d.words
    }
    assert not traces[3].spikes
    single = Core(replace(image.cores[0].image)).run(
        Stimulus.pack({"x": np.ones((1, 4, 3), np.uint8)})
    )
    assert np.array_equal(traces[0].counters["cycles"], single.counters["cycles"])


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ([{}] * 5, r"cores for network 'small' must be at most 4 \(2 x 2 mesh\), not 5"),
        ([{"hid": np.arange(3)}], "neuron 0 of population 'out' must lie on one core, not on 0"),
        (
            [{"hid": np.arange(3), "out": np.arange(2)}, {"out": np.array([1])}],
            "neuron 1 of population 'out' must lie on one core, not on 2",
        ),
        ([{"his": np.arange(3)}], "population of a core must be one of hid, out, not 'his'"),
    ],
)
def test_shares_are_checked(shares: list[dict[str, np.ndarray]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        map_mesh(small.network(), LEAN, shares)


def test_what_no_mesh_can_do_is_refused() -> None:
    late = star(targets=1, delay=5)
    with pytest.raises(
        InputError, match=r"population 'a' must be in 1..3 on this chip \(delay_max\), not 5"
    ):
        map_mesh(late, LEAN, [{"a": np.arange(1)}, {"t0": np.arange(1)}])
    wide = star(targets=3)
    shares = [{"a": np.arange(1)}, {"t0": np.arange(1)}, {"t1": np.arange(1)}, {"t2": np.arange(1)}]
    with pytest.raises(InputError, match=r"must be at most 0 in a core of this chip \(chain\)"):
        map_mesh(wide, LEAN.replace(chain=0), shares)
    with pytest.raises(InputError, match=r"at most \d+ cores \(31 address bits in all\), not 4096"):
        MemoryMap(
            Chip(axons=1152, columns=4096, lanes=128, digit_bits=4, mesh_width=64, mesh_height=64)
        )


def test_without_shares_the_parts_of_the_partition_lie_core_after_core() -> None:
    network = small.network()
    assert list(map_mesh(network, LEAN).cores) == [0]
