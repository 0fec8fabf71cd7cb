"""pysim/model: arithmetic against the witness, cycles and counters against cases by hand."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from spikeloop.pysim.chip.params import PRESETS
from spikeloop.pysim.common.bits import unpack
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.model.core import Core
from spikeloop.pysim.model.ticks import numba_engine as fast
from spikeloop.pysim.network.elements import Edge, Input, LowBound, Population, Reset
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace
from tests.make.networks import random_network, random_stimulus
from tests.make.small import CHIP, network
from tests.witness.network import witness

ENGINES = [
    "numpy",
    pytest.param(
        "numba",
        marks=pytest.mark.skipif(
            not fast.AVAILABLE, reason="numba is not installed: pip install -e '.[fast]'"
        ),
    ),
]


def stimulus(*steps: list[int]) -> Stimulus:
    """One sample of the small network: a list of three lines per step."""
    return Stimulus.pack({"x": np.array([steps], np.uint8)})


def assert_equal(a: Trace, b: Trace) -> None:
    for part in ("spikes", "membranes", "counters"):
        x, y = getattr(a, part), getattr(b, part)
        assert x.keys() == y.keys()
        for name in x:
            assert x[name].dtype == y[name].dtype
            np.testing.assert_array_equal(x[name], y[name], err_msg=f"{part} of {name}")


# -- arithmetic: against the witness, one neuron at a time on Python's integers ----------------


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("bits", [8, 24, 32])
def test_the_witness_agrees(engine: str, bits: int, seed: int) -> None:
    chip, spiked, saturated = PRESETS["tiny"].replace(membrane_bits=bits), 0, 0
    for i in range(15):
        rng = np.random.default_rng([seed, bits, i])
        net = random_network(rng, chip, steps=6, corners=0.3)
        stim = random_stimulus(rng, net, 1)
        seen = witness(net, stim.dense(net))
        trace = Core(pack(net, chip=chip), engine).run(stim)
        where = f"network {i} of seed {seed}"
        for p in net.populations:
            spikes, membranes = unpack(trace.spikes[p.name], p.size), trace.membranes[p.name]
            np.testing.assert_array_equal(spikes, seen[p.name].spikes, err_msg=where)
            np.testing.assert_array_equal(membranes, seen[p.name].membranes, err_msg=where)
            assert membranes.dtype == np.int32
        saturations = sum(int(of.saturations.sum()) for of in seen.values())
        assert trace.counters["saturations"].sum() == saturations
        spiked += int(trace.counters["spikes_out"].sum())
        saturated += saturations
    assert spiked > 100 and saturated > 30


@pytest.mark.parametrize("engine", ENGINES)
def test_which_clip_counts(engine: str) -> None:
    """12-bit neurons, no input: of a held neuron clip 1 counts, clip 3 does not.

    Clip 2 does not count without a spike.
    """

    def saturations(**parameters: Any) -> list[int]:
        net = Network(
            name="n",
            inputs=(Input(name="x", size=1),),
            edges=(),
            steps=3,
            output="a",
            membrane_bits=12,
            populations=(Population.make("a", 1, weight_bits=1, **parameters),),
        )
        trace = Core(pack(net, chip=CHIP), engine).run(
            Stimulus.pack({"x": np.zeros((1, 3, 1), np.uint8)})
        )
        return [int(n) for n in trace.counters["saturations"][0]]

    assert saturations(bias=2000, v_init=2000, v_th=2047, fire=False) == [1, 1, 1]
    assert saturations(bias=2000, v_init=2000, v_th=0, refractory=9, hold=True, v_reset=2000) == [
        1,
        1,
        1,
    ]  # held, clip 1
    assert saturations(v_th=0, v_sub=2047, v_init=-1, reset=Reset.SOFT) == [
        0,
        0,
        0,
    ]  # no spike, no clip 2
    assert saturations(v_th=-9, v_sub=2047, v_init=-5, reset=Reset.SOFT) == [1, 0, 0]
    assert saturations(v_th=-9, v_sub=2047, v_init=-5, reset=Reset.HARD) == [0, 0, 0]
    add = {"low": LowBound.ADD, "v_low": 2047, "v_low_add": -2048, "v_reset": -5}
    assert saturations(**add, v_init=-5, fire=False) == [1, 1, 1]
    assert saturations(**add, v_th=-9, v_init=-5) == [0, 0, 0]  # spikes every step
    assert saturations(**add, v_th=-9, v_init=-5, refractory=9) == [0, 1, 1]
    assert saturations(**add, v_th=-9, v_init=-5, refractory=9, hold=True) == [
        0,
        0,
        0,
    ]  # held, clip 3


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("bits", [2, 8, 16])
def test_largest_sums(engine: str, bits: int) -> None:
    """All 1,152 axons active with the largest weights: beyond 16 bits and exact float32."""
    chip = PRESETS["zou2021"].replace(membrane_bits=32 if bits == 16 else 24)
    weights = np.repeat(
        np.array([[-(1 << (bits - 1)), (1 << (bits - 1)) - 1]], np.int32), 1152, axis=0
    )
    weights[0] += [1, 0]  # an odd sum
    net = Network(
        name="n",
        inputs=(Input(name="x", size=1152),),
        steps=2,
        output="a",
        membrane_bits=chip.membrane_bits,
        populations=(Population.make("a", 2, weight_bits=bits, fire=False),),
        edges=(Edge(source="x", target="a", weights=weights),),
    )
    trace = Core(pack(net, chip=chip), engine).run(
        Stimulus.pack({"x": np.ones((1, 2, 1152), np.uint8)})
    )
    sums = weights.astype(np.int64).sum(axis=0)
    assert trace.membranes["a"][0].tolist() == [sums.tolist(), (2 * sums).tolist()]


# -- cycles and counters by hand ---------------------------------------------------------------


def small_run(**options: Any) -> Trace:
    """All lines at step 0, then silence.

    5 ticks of 4 words (2 of hid, 1 of out, 1 unused), joins of 4.
    """
    return Core(pack(network(), chip=CHIP), "numpy").run(
        stimulus([1, 1, 1], *[[0, 0, 0]] * 3), **options
    )


def test_small_by_hand() -> None:
    trace = small_run()
    # sums of step 0: 3 - 8, 1 + 2, -2 + 7 + 1 against a threshold of 3, hard reset to 0
    assert trace.membranes["hid"][0].tolist() == [[-5, 0, 0]] * 4
    assert unpack(trace.spikes["hid"], 3)[0].tolist() == [[0, 1, 1]] + [[0, 0, 0]] * 3
    # neurons 1 and 2 give out 2 + 0 and -3 + 2 against 2
    assert unpack(trace.spikes["out"], 2)[0].tolist() == [[1, 0]] + [[0, 0]] * 3
    assert trace.membranes["out"][0].tolist() == [[0, -1]] * 4
    counters = {name: values[0].tolist() for name, values in trace.counters.items()}
    assert counters["spikes_in"] == [3, 2, 0, 0, 0]
    assert counters["spikes_out"] == [2, 1, 0, 0, 0]
    assert counters["sops"] == [
        3 + 2 + 2 - 0,
        1 + 2 + 1 - 1,
        0,
        0,
        0,
    ]  # rows of x: 3, 2, 2 synapses; of hid 1 and 2: 2, 1
    assert counters["slots"] == [3 * 32, 2 * 32, 0, 0, 0]
    assert counters["saturations"] == counters["stalls"] == counters["dropped"] == [0] * 5
    assert counters["ticks"] == [1] * 5


def test_cycles_by_hand() -> None:
    # A live word takes 12 and its scan (1 + events, at least 1), or its replay (events + 1).
    word, idle, emit = 2 + 1 + (4 + 2) + 3, 2, 4 + 4
    first = 1 + (word + 1 + 3) + (word + 3 + 1) + 2 * idle + emit
    second = 1 + (word + 1 + 2) + 2 * (word + 2 + 1) + idle + emit
    third = (
        1 + (word + 1 + 1) + 2 * (word + 0 + 1) + idle + emit
    )  # an empty chunk still takes its cycle
    last = 1 + (word + 1 + 1) + 3 * idle + emit  # only out is live
    assert (
        small_run().counters["cycles"][0].tolist()
        == [first, second, third, third, last]
        == [45, 56, 51, 51, 29]
    )


def test_cycles_in_dense_mode() -> None:
    word, idle, emit = 12, 2, 8
    trace = small_run(dense=True)
    assert trace.counters["cycles"][0, 0] == 1 + (word + 1 + 8) + (word + 8 + 1) + 2 * idle + emit
    assert trace.counters["cycles"][0, 4] == 1 + (word + 1 + 8) + 3 * idle + emit
    assert (trace.counters["spikes_in"] == small_run().counters["spikes_in"]).all()


def test_cycles_without_a_live_word() -> None:
    net = network(
        populations=(Population.make("hid", 3, weight_bits=4, start=2),),
        output="hid",
        steps=1,
        edges=network().edges[:1],
    )
    trace = Core(pack(net, chip=CHIP), "numpy").run(stimulus([1, 0, 0]))
    # the scan still empties the ring's slot; at tick 2 two neurons of the first word spike
    assert trace.counters["cycles"][0].tolist() == [1 + 4 * 2 + 2 + 8] * 2 + [
        1 + (12 + 2) + (12 + 2) + 2 * 2 + 9
    ]
    assert trace.counters["spikes_in"][0].tolist() == [0, 0, 1]


def test_cycles_of_chunks_and_spikes() -> None:
    """130 axons are 3 chunks (64, 64, 2); 70 lanes are 2 chunks of spikes a word."""
    chip = CHIP.replace(axons=130, columns=140, lanes=70)
    net = Network(
        name="n",
        inputs=(Input(name="x", size=130),),
        steps=1,
        output="a",
        membrane_bits=12,
        populations=(
            Population.make("a", 100, weight_bits=1, v_th=np.where(np.arange(100) < 67, 0, 5)),
        ),
        edges=(Edge(source="x", target="a", weights=np.zeros((130, 100), np.int32)),),
    )
    lines = np.zeros((1, 1, 130), np.uint8)
    lines[0, 0, [0, 63, 128]] = 1  # chunks of 2, 0 and 1 events
    trace = Core(pack(net, chip=chip), "numpy").run(Stimulus.pack({"x": lines}))
    scan, emit = 1 + (2 + 1 + 1), 4 + (64 + 3) + (1 + 1)
    assert (
        trace.counters["cycles"][0, 0]
        == 1 + (2 + scan + 1 + (1 + 2) + 3) + (2 + (3 + 1) + 1 + (1 + 2) + 3) + emit
    )


def test_events_that_reach_no_live_population_count_and_are_lost() -> None:
    """The input's edge has delay 3: lines of step 1 reach hid after its last step.

    Those of steps 2 and 3 would arrive after the last tick.
    """
    late = Edge(source="x", target="hid", weights=np.full((3, 3), 7, np.int32), delay=3)
    net = network(edges=(late, network().edges[1]))
    core = Core(pack(net, chip=CHIP), "numpy")
    trace = core.run(stimulus(*[[1, 0, 0]] * 4))
    assert trace.counters["spikes_in"][0].tolist() == [
        0,
        0,
        0,
        1,
        1 + 3,
    ]  # tick 4: line of step 1, lost on hid, and hid's own spikes
    assert unpack(trace.spikes["hid"], 3)[0].sum(axis=1).tolist() == [0, 0, 0, 3]
    assert core.events(stimulus(*[[1, 0, 0]] * 4)).sum() == 2


def test_sops_count_synapses(rng: np.random.Generator) -> None:
    net = random_network(rng, PRESETS["default"], recurrent=False)
    stim = random_stimulus(rng, net, 4)
    trace = Core(pack(net, chip=PRESETS["default"])).run(stim)
    spikes = stim.dense(net) | {
        p.name: unpack(trace.spikes[p.name], p.size) for p in net.populations
    }
    sops = np.zeros((4, net.ticks), np.int64)
    for e in net.edges:
        for k in range(net.steps):
            tick = k + e.delay + net.start_of(e.target)
            if tick < net.ticks:
                sops[:, tick] += spikes[e.source][:, k] @ np.count_nonzero(e.weights, axis=1)
    assert sops.any()
    np.testing.assert_array_equal(trace.counters["sops"], sops)


# -- running -----------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_samples_do_not_know_each_other(engine: str, rng: np.random.Generator) -> None:
    net = random_network(rng, PRESETS["tiny"])
    stim = random_stimulus(rng, net, 150)  # several parts
    core = Core(pack(net, chip=PRESETS["tiny"]), engine)
    whole = core.run(stim)
    assert_equal(
        whole, Trace.concatenate([core.run(stim.take(slice(i, i + 1))) for i in range(150)])
    )
    assert_equal(whole, core.run(stim))
    np.testing.assert_array_equal(core.predict_cycles(stim), whole.counters["cycles"])
    bare = core.run(stim, membranes=False)
    assert bare.membranes == {}
    assert_equal(bare, Trace(whole.spikes, {}, whole.counters))


@pytest.mark.skipif(not fast.AVAILABLE, reason="numba is not installed: pip install -e '.[fast]'")
@pytest.mark.parametrize("name", ["zou2021", "full", "default"])
def test_engines_agree_at_size(name: str, rng: np.random.Generator) -> None:
    net = random_network(rng, PRESETS[name], steps=5, corners=0.5)
    stim, image = random_stimulus(rng, net, 6), pack(net, chip=PRESETS[name])
    for dense in (False, True):
        a, b = (Core(image, engine).run(stim, dense=dense) for engine in ("numpy", "numba"))
        assert a.counters["spikes_out"].any() and a.counters["saturations"].any()
        assert_equal(a, b)


@pytest.mark.parametrize("engine", ENGINES)
def test_no_samples(engine: str) -> None:
    trace = Core(pack(network(), chip=CHIP), engine).run(
        Stimulus.pack({"x": np.zeros((0, 4, 3), np.uint8)})
    )
    assert trace.spikes["hid"].shape == (0, 4, 1) and trace.counters["cycles"].shape == (0, 5)


def test_output_events_in_order() -> None:
    net = network(out={"v_th": 0})
    core = Core(pack(net, chip=CHIP))
    events = core.output_events(core.run(Stimulus.pack({"x": np.zeros((2, 4, 3), np.uint8)})))
    assert events.tolist() == [
        [sample, tick, address]
        for sample in range(2)
        for tick in range(1, 5)
        for address in range(2)
    ]


@pytest.mark.parametrize(
    ("spikes", "message"),
    [
        ({"y": np.zeros((1, 4, 1), np.uint8)}, "must hold exactly the inputs x, not y"),
        ({"x": np.zeros((1, 5, 1), np.uint8)}, r"must be of shape \(1, 4, 1\) .*, not \(1, 5, 1\)"),
        ({"x": np.zeros((1, 4, 1), np.int64)}, "must be packed uint8"),
        ({"x": np.full((1, 4, 1), 8, np.uint8)}, "padding bits of input 'x' must be 0"),
    ],
)
def test_stimulus_of_another_network(spikes: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Core(pack(network(), chip=CHIP)).run(Stimulus(spikes))


def test_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    image = pack(network(), chip=CHIP)
    assert Core(image).engine == ("numba" if fast.AVAILABLE else "numpy")
    monkeypatch.setattr(fast, "AVAILABLE", False)
    assert Core(image).engine == "numpy"
    for engine in ("numba", "cuda"):
        with pytest.raises(
            InputError,
            match=f"engine must be numpy, or numba where numba is installed .*, not '{engine}'",
        ):
            Core(image, engine)


def test_without_numba() -> None:
    code = (
        "import sys; sys.modules['numba'] = None; "
        "from spikeloop.pysim.model import core; "
        "from spikeloop.pysim.model.ticks import numba_engine; print(numba_engine.AVAILABLE)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.stdout == "False\n", result.stderr
