"""The Verilated mesh against pysim and golden.

Random recurrent networks, a trained one, back-pressure at the pins.
"""

from dataclasses import replace

import numpy as np
import pytest

from spikeloop.cosim.compare.diff import Side, diff
from spikeloop.cosim.verilator.backend import VerilatedMesh
from spikeloop.cosim.verilator.build import build
from spikeloop.cosim.verilator.chip import MeshChipModel
from spikeloop.golden.data.datasets import load_mnist
from spikeloop.golden.data.encoders import Encoder
from spikeloop.golden.quantize.quantize import quantize
from spikeloop.golden.reference import integer
from spikeloop.golden.training.train import TrainConfig, train
from spikeloop.hdl.names import CORE_MODULE
from spikeloop.hdl.verilog import generate
from spikeloop.pysim.bundle.mesh import map_mesh
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.common.bits import unpack
from spikeloop.pysim.model.mesh import MeshModel
from spikeloop.pysim.network.elements import Edge, Input, Population
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.campaigns.regression.cases import CHIPS
from tests.campaigns.regression.mesh.cases import mesh_case
from tests.campaigns.regression.mesh.chip import core_differences, differences
from tests.cosim import FAST_BUILD

MESH = CHIPS["mesh"]
IMAGES = 20


def test_a_mesh_has_one_core_module_and_a_single_core_no_mesh() -> None:
    tiny = Chip(
        axons=8,
        columns=8,
        lanes=8,
        membrane_bits=8,
        leak_terms=0,
        refractory_bits=0,
        roundings=False,
        bounded=False,
    )
    single, mesh = generate(tiny), generate(tiny.replace(mesh_width=2, mesh_height=2))
    assert [text.count("\nmodule spikeloop_core(") for text in (single, mesh)] == [0, 1]
    assert mesh.count("\n  spikeloop_core ") == 4
    assert "packets" not in single


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        pytest.param({}, id="3x2"),
        pytest.param({"mesh_width": 2}, id="2x2"),
        pytest.param({"mesh_width": 1, "mesh_height": 3}, id="1x3"),
        pytest.param({"mesh_width": 2, "clock_gates": False}, id="enables"),
    ],
)
def test_rtl_equals_the_model(change: dict[str, int], seed: int) -> None:
    chip = MESH.replace(**change)
    assert (
        list(differences(MeshChipModel(chip, FAST_BUILD), chip, seed=seed, contended=False)) == []
    )


@pytest.mark.slow
def test_more_cores_are_hardly_more_code() -> None:
    """Cores share the functions that run in every cycle (cosim/verilator/build.py, MESH_FLAGS)."""

    def size(chip: Chip) -> int:
        sources = build(chip, FAST_BUILD).parent.glob(f"Vchip_{CORE_MODULE}__*.cpp")
        return sum(cpp.stat().st_size for cpp in sources if "Slow" not in cpp.name)

    four, six = size(MESH.replace(mesh_width=2)), size(MESH)
    print(f"C++ of the cores without what runs once: 4 cores {four:,} bytes, 6 cores {six:,}")
    assert 0 < six < 1.25 * four


@pytest.mark.slow
def test_the_simulators_own_evaluation_gives_the_same(seed: int) -> None:
    chip = MESH.replace(mesh_width=2)
    case = mesh_case(np.random.default_rng(seed), chip)
    traces = [
        VerilatedMesh(case.image, replace(FAST_BUILD, direct=direct)).run_cores(case.stimulus)
        for direct in (True, False)
    ]
    for a, b in zip(*traces, strict=True):
        assert all(np.array_equal(a.counters[name], b.counters[name]) for name in a.counters)
        assert all(np.array_equal(a.spikes[name], b.spikes[name]) for name in a.spikes)


@pytest.mark.slow
def test_banks_at_rest_are_loaded_while_the_mesh_ticks(seed: int) -> None:
    """Networks in turn, each loaded core by core while the one before runs on the other banks."""
    chip = MESH.replace(mesh_width=2, mesh_height=1, banks=2)
    cases = [mesh_case(np.random.default_rng([seed, n, 7]), chip) for n in range(3)]
    model = MeshChipModel(chip, FAST_BUILD)
    model.fill_mesh(cases[0].image)
    for turn, case in enumerate(cases):
        for core, one in cases[(turn + 1) % 3].image.cores.items():
            model.feed(one.image, (turn + 1) % 2, core)
            before = model.feeding
            traces = model.run_mesh(case.image, case.stimulus)
            assert list(core_differences(case.traces, traces)) == []
            pair = diff(
                case.network,
                Side("pysim", case.image.gather(case.traces)),
                Side("RTL", case.image.gather(traces)),
            )
            assert pair.first is None and pair.neuron_ticks > 100
            assert model.feeding < before
            while left := model.feeding:
                model.cycles(left)
        for core, one in cases[(turn + 1) % 3].image.cores.items():
            model.switch(one.image, (turn + 1) % 2, core)
    model.close()


@pytest.fixture(scope="module")
def trained() -> tuple[Network, Stimulus]:
    """784-40-10, recurrent, trained on the embedded images, quantised to 4 bits."""
    data = load_mnist()
    data = replace(
        data,
        train_images=data.train_images[:1500],
        train_labels=data.train_labels[:1500],
        test_images=data.test_images[:500],
        test_labels=data.test_labels[:500],
    )
    net = train(
        TrainConfig(layers=(784, 40, 10), encoder=Encoder(steps=6), epochs=4, recurrent=True),
        data,
        progress=False,
    )
    spikes = Encoder(**net.metadata["encoder"])(data.test_images)
    network, _ = quantize(net, spikes, data.test_labels, bits=4, membrane_bits=16)
    return network, Stimulus.pack({"input": spikes[:IMAGES]})


@pytest.mark.slow
@pytest.mark.parametrize("side", [2, 3])
def test_a_trained_net_runs_alike_in_golden_model_and_rtl(
    side: int, trained: tuple[Network, Stimulus]
) -> None:
    """Neurons of the hidden population on every core: each spike goes to all of them."""
    network, stimulus = trained
    chip = Chip(
        axons=864,
        columns=128 if side == 2 else 32,
        lanes=8,
        membrane_bits=16,
        delay_max=2,
        leak_terms=1,
        refractory_bits=0,
        bounded=False,
        roundings=False,
        mesh_width=side,
        mesh_height=side,
    )
    cores = [
        {p.name: np.arange(n, p.size, side * side) for p in network.populations if n < p.size}
        for n in range(side * side)
    ]
    image = map_mesh(network, chip, cores)
    expected = MeshModel(image).run(stimulus)
    whole = image.gather(expected)
    golden = integer.run(network, stimulus.dense(network))
    with VerilatedMesh(image, FAST_BUILD) as mesh:
        got = mesh.run_cores(stimulus)
    assert list(core_differences(expected, got)) == []
    pair = diff(network, Side("pysim", whole), Side("RTL", image.gather(got)))
    for p in network.populations:
        assert np.array_equal(golden.spikes[p.name], unpack(whole.spikes[p.name], p.size))
        assert np.array_equal(golden.membranes[p.name], whole.membranes[p.name])
    spikes = int(whole.counters["spikes_out"].sum())
    stalls = sum(int(trace.counters["stalls"].sum()) for trace in got)
    compared = f"{pair.neuron_ticks:,} neuron-ticks compared, {pair.different} different"
    print(f"{side} x {side}: {compared}; {spikes:,} spikes, {stalls:,} stalls")
    assert pair.different == 0 and pair.neuron_ticks == IMAGES * 6 * 50
    assert whole.counters["spikes_out"].sum() > 100


@pytest.mark.slow
def test_a_blocked_output_holds_the_barrier_and_loses_nothing() -> None:
    """Two cores with eight output neurons each that always spike; more than all buffers hold."""
    chip = MESH.replace(mesh_width=2)
    out = Population.make("out", 16, weight_bits=2, v_th=0)
    network = Network(
        name="loud",
        inputs=(Input(name="x", size=1),),
        populations=(out,),
        steps=3,
        output="out",
        membrane_bits=10,
        edges=(Edge(source="x", target="out", weights=np.zeros((1, 16), np.int32)),),
    )
    image = map_mesh(
        network, chip, [{"out": np.arange(0, 16, 2)}, {}, {}, {"out": np.arange(1, 16, 2)}]
    )
    model = MeshChipModel(chip, FAST_BUILD)
    model.fill_mesh(image)
    model.clear()
    for _ in range(3):
        model.ready(False)
        model.start()
        assert not model.idle(5000)
        assert model.receive() == []
        model.ready(True)
        assert model.idle(5000)
        model.cycles(4)
        left = model.receive()
        assert [[line for core, line, _ in left if core == n] for n in (0, 3)] == [
            list(range(0, 16, 2)),
            list(range(1, 16, 2)),
        ]
        first = [core for core, _, _ in left[:8]]
        assert {0, 3} == set(first), "cores take turns"
