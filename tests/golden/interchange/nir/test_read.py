"""NIR import and export: against a float model node by node, the NIR paper's LIF, and what is
refused."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from spikeloop.golden.interchange.graph.semantics import Semantics
from spikeloop.golden.interchange.nir.read import import_nir
from spikeloop.golden.interchange.nir.write import export_nir
from spikeloop.golden.quantize.leak import best_leak
from spikeloop.golden.reference.integer import run
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.convolution import Conv
from spikeloop.pysim.network.elements import Edge, Input, Population, Reset
from spikeloop.pysim.network.graph import Network

nir = pytest.importorskip("nir", reason="package nir is not installed: pip install -e '.[nir]'")


def simulate(
    graph: Any, spikes: np.ndarray, *, strict: bool, reset: str, order: list[str]
) -> dict[str, np.ndarray]:
    """The float64 model, one step and one node at a time, dt 1; edges that point backwards in
    ``order`` carry the step before."""
    before = {n: [a for a, b in graph.edges if b == n] for n in order}
    state: dict[str, Any] = {n: torch.zeros(()) for n in order}
    late: dict[str, Any] = {n: torch.zeros(()) for n in order}
    value: dict[str, Any] = {n: torch.zeros((), dtype=torch.float64) for n in order}
    made: dict[str, list[np.ndarray]] = {
        n: [] for n in order if type(graph.nodes[n]).__name__ in ("IF", "LIF")
    }

    def t(array: Any) -> torch.Tensor:
        return torch.as_tensor(np.asarray(array, np.float64))

    for step in spikes:
        for n in order:
            node, x = (
                graph.nodes[n],
                sum((value[b] for b in before[n]), torch.zeros((), dtype=torch.float64)),
            )
            if (
                type(node).__name__ in ("Linear", "Affine") and x.ndim == 0
            ):  # what comes later in the order, in the first step
                x = torch.zeros(node.weight.shape[1], dtype=torch.float64)
            match type(node).__name__:
                case "Input":
                    value[n] = t(step).reshape(tuple(int(i) for i in node.input_type["input"]))
                case "Linear":
                    value[n] = t(node.weight) @ x
                case "Affine":
                    value[n] = t(node.weight) @ x + t(node.bias)
                case "Conv2d":
                    value[n] = functional.conv2d(
                        x[None],
                        t(node.weight),
                        t(node.bias),
                        tuple(node.stride),
                        tuple(node.padding),
                        tuple(node.dilation),
                        int(node.groups),
                    )[0]
                case "Conv1d":
                    value[n] = functional.conv1d(
                        x[None], t(node.weight), t(node.bias), int(node.stride), int(node.padding)
                    )[0]
                case "SumPool2d" | "AvgPool2d" as kind:
                    size = tuple(int(i) for i in node.kernel_size)
                    value[n] = functional.avg_pool2d(
                        x[None], size, tuple(int(i) for i in node.stride)
                    )[0]
                    value[n] = value[n] * (size[0] * size[1] if kind == "SumPool2d" else 1)
                case "Flatten":
                    value[n] = x.reshape(-1)
                case "IF" | "LIF" as kind:
                    share = 1 / t(node.tau) if kind == "LIF" else 1.0
                    keep, leak = (
                        (1 - share, share * t(node.v_leak)) if kind == "LIF" else (1.0, 0.0)
                    )
                    u = (
                        keep * state[n]
                        + leak
                        + t(node.r) * share * x
                        - (late[n] if reset == "late" else 0)
                    )
                    s = (u > t(node.v_threshold) if strict else u >= t(node.v_threshold)).double()
                    late[n] = s * t(node.v_threshold)
                    state[n] = (
                        u
                        if reset == "late"
                        else u - late[n]
                        if reset == "soft"
                        else u * (1 - s) + t(node.v_reset) * s
                    )
                    value[n] = s
                    made[n].append(s.numpy().ravel())
                case _:
                    value[n] = x
    return {n: np.array(rows).astype(np.uint8) for n, rows in made.items()}


def quarters(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.integers(-6, 9, shape) / 4


def convolutional(rng: np.random.Generator) -> tuple[Any, list[str]]:
    """Conv, IF, pooling, conv, IF, average pooling, flatten, affine, IF: every weight is a quarter,
    and sums are exact in 8 bits."""
    nodes = {
        "input": nir.Input(np.array([2, 8, 6])),
        "1.conv": nir.Conv2d(
            (8, 6), quarters(rng, 4, 2, 3, 3), (1, 1), (1, 1), (1, 1), 1, quarters(rng, 4)
        ),
        "if1": nir.IF(np.ones((4, 8, 6)), np.full((4, 8, 6), 1.25)),
        "pool": nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        "conv2": nir.Conv2d(
            (4, 3), quarters(rng, 4, 2, 3, 3), (1, 1), (1, 1), (1, 1), 2, np.zeros(4)
        ),
        "if2": nir.IF(np.ones((4, 4, 3)), np.full((4, 4, 3), 2.0)),
        "avg": nir.AvgPool2d(np.array([2, 1]), np.array([2, 1]), np.array([0, 0])),
        "flat": nir.Flatten({"input": np.array([4, 2, 3])}, 0, -1),
        "fc": nir.Affine(quarters(rng, 5, 24), quarters(rng, 5)),
        "if3": nir.IF(np.ones(5), np.full(5, 1.5)),
        "output": nir.Output(np.array([5])),
    }
    order = list(nodes)
    return nir.NIRGraph(nodes, list(zip(order, order[1:], strict=False)), type_check=False), order


def recurrent(rng: np.random.Generator) -> tuple[Any, list[str]]:
    """Two ways into a recurrent layer, and Conv1d before it."""
    nodes = {
        "input": nir.Input(np.array([2, 9])),
        "conv": nir.Conv1d(9, quarters(rng, 3, 2, 3), 2, 1, 1, 1, np.zeros(3)),
        "a": nir.IF(np.ones((3, 5)), np.full((3, 5), 1.0)),
        "flat": nir.Flatten({"input": np.array([3, 5])}, 0, -1),
        "in": nir.Linear(quarters(rng, 7, 15)),
        "again": nir.Linear(quarters(rng, 7, 7)),
        "b": nir.LIF(np.full(7, 1.0), np.ones(7), np.zeros(7), np.full(7, 1.75)),
        "output": nir.Output(np.array([7])),
    }
    edges = [
        ("input", "conv"),
        ("conv", "a"),
        ("a", "flat"),
        ("flat", "in"),
        ("in", "b"),
        ("b", "again"),
        ("again", "b"),
        ("b", "output"),
    ]
    return nir.NIRGraph(nodes, edges, type_check=False), list(nodes)


@pytest.mark.parametrize("reset", ["hard", "soft", "late"])
@pytest.mark.parametrize("compare", [">", ">="])
@pytest.mark.parametrize("make", [convolutional, recurrent])
def test_spike_for_spike_as_the_float_model(
    make: Callable[..., Any], compare: str, reset: str, rng: np.random.Generator, tmp_path: Path
) -> None:
    graph, order = make(rng)
    nir.write(tmp_path / "net.nir", graph)
    made = import_nir(
        tmp_path / "net.nir", Semantics(dt=1.0, compare=compare, reset=reset), steps=20, bits=8
    )
    lines = made.network.inputs[0].size
    spikes = (rng.random((20, lines)) < 0.3).astype(np.uint8)
    want = simulate(graph, spikes, strict=compare == ">", reset=reset, order=order)
    trace = run(made.network, {made.network.inputs[0].name: spikes[None]})
    for name, key in made.network.metadata["nodes"].items():
        if key in want:
            assert np.array_equal(trace.spikes[name][0], want[key]), key
            assert want[key].any()
    assert {a.what: a.value for a in made.assumed}["compare"] == compare


@pytest.mark.parametrize(
    ("compare", "strict"),
    [(">=", (0, 0)), (">", (1, 1)), ("b=>=,>", (1, 0)), ("b=>,>=", (0, 1)), ("a=>,b=>=", (1, 0))],
)
def test_compare_by_node(
    compare: str, strict: tuple[int, int], rng: np.random.Generator, tmp_path: Path
) -> None:
    """ ">=" is a value for all nodes, not a value for node ">"."""
    nir.write(tmp_path / "net.nir", recurrent(rng)[0])

    def thresholds(compare: str) -> np.ndarray:
        semantics = Semantics(dt=1.0, compare=compare, reset="hard")
        made = import_nir(tmp_path / "net.nir", semantics, steps=2, bits=8)
        of = {key: name for name, key in made.network.metadata["nodes"].items()}
        found = {p.name: int(p.v_th.max()) for p in made.network.populations}
        return np.array([found[of[key]] for key in ("a", "b")])

    # u > v_th of whole numbers is u >= v_th + 1
    assert tuple(thresholds(compare) - thresholds(">=")) == strict


@pytest.mark.shared
def test_the_papers_lif(shared_data: Path) -> None:
    """Spikes in the steps in which NIR's exact solution and every platform of the paper have them;
    the membrane as Norse's."""
    made = import_nir(shared_data / "nir" / "lif_norse.nir", steps=1000, bits=16)
    exact, norse, snntorch = (
        np.loadtxt(shared_data / "nir" / f"lif_{n}.csv", delimiter=",")
        for n in ("exact", "norse", "snntorch")
    )
    name, output = made.network.inputs[0].name, made.network.output
    trace = run(made.network, {name: exact[None, :, :1].astype(np.uint8)})
    spikes, v = (
        trace.spikes[output][0, :, 0],
        trace.membranes[output][0, :, 0] / made.network.metadata["scales"][output],
    )
    assert spikes.sum() == 4
    for other in (exact, norse, snntorch):
        assert np.array_equal(spikes, other[:, 2])
    assert np.abs(v - norse[:, 1]).max() < 1e-4
    assert np.abs(v - exact[:, 1]).max() <= np.abs(norse[:, 1] - exact[:, 1]).max() + 1e-4


@pytest.mark.shared
def test_the_papers_convolutional_net(shared_data: Path, rng: np.random.Generator) -> None:
    """At 16 bits, the float net's spike counts within a percent, layer by layer."""
    path = shared_data / "nir" / "cnn_sinabs.nir"
    made = import_nir(path, Semantics(compare=">=", reset="soft"), steps=8, bits=16)
    graph = nir.read(path)
    spikes = (rng.random((8, 2 * 34 * 34)) < 0.15).astype(np.uint8)
    want = simulate(
        graph, spikes, strict=False, reset="soft", order=["input", *map(str, range(13)), "output"]
    )
    trace = run(made.network, {"input": spikes[None]}, membranes=False)
    for name, key in made.network.metadata["nodes"].items():
        if key in want:
            assert int(trace.spikes[name].sum()) == pytest.approx(
                int(want[key].sum()), rel=0.01, abs=2
            ), key
            assert (trace.spikes[name][0] != want[key]).sum() <= max(2, 0.005 * want[key].size)


# -- export ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("strict", [0, 1])
@pytest.mark.parametrize("reset", [Reset.HARD, Reset.SOFT])
def test_export_and_back(
    reset: Reset, strict: int, rng: np.random.Generator, tmp_path: Path
) -> None:
    conv = Conv.make((2, 6, 6), 3, (3, 3), stride=(2, 2))
    size = int(np.prod(conv.target))
    net = Network(
        name="mine",
        inputs=(Input(name="x", size=72),),
        steps=12,
        output="c",
        edges=(
            Edge(
                source="x",
                target="a",
                weights=rng.integers(-40, 100, conv.weights_shape, dtype=np.int32),
                conv=conv,
            ),
            Edge(source="a", target="b", weights=rng.integers(-60, 127, (size, 6), dtype=np.int32)),
            Edge(
                source="b",
                target="b",
                weights=rng.integers(-60, 127, (6, 6), dtype=np.int32),
                delay=1,
            ),
            Edge(
                source="b",
                target="c",
                weights=rng.integers(-60, 127, (6, 4), dtype=np.int32),
                delay=0,
            ),
        ),
        populations=(
            Population.make("a", size, v_th=90 + strict, v_sub=90, reset=reset),
            Population.make("c", 4, start=2, v_th=40 + strict, v_sub=40, reset=reset),
            Population.make("b", 6, start=1, v_th=70 + strict, v_sub=70, reset=reset, v_reset=3),
        ),
    )
    made = import_nir(export_nir(net, tmp_path / "mine.nir"), steps=12, bits=8)
    assert {a.what: a.why for a in made.assumed}["dt"] == "metadata of the file"
    spikes = (rng.random((3, 12, 72)) < 0.3).astype(np.uint8)
    one, two = run(net, {"x": spikes}), run(made.network, {"x": spikes})
    for name in ("a", "b", "c"):
        assert np.array_equal(one.spikes[name], two.spikes[name]) and np.array_equal(
            one.membranes[name], two.membranes[name]
        )
        assert one.spikes[name].any()


@pytest.mark.parametrize("reset", [Reset.HARD, Reset.SOFT])
def test_a_quantised_net_comes_back_to_the_integer(
    reset: Reset, tmp_path: Path, rng: np.random.Generator
) -> None:
    """As make sim's: leaks of one shift, biases, and weights down to the lowest, -128."""
    weights = rng.integers(-128, 128, (9, 6), dtype=np.int32)
    weights[0, :2] = -128, 127
    more = {"v_th": 250, "v_sub": 250, "reset": reset, "k0": False, "leak_shift": [[[1], [0], [0]]]}
    more["leak_sign"] = [[[1], [0], [0]]]
    whole = Population.make("h", 6, bias=[[-11, 8, -4, 35, 0, 1]], **more)
    net = Network(
        name="mine",
        inputs=(Input(name="x", size=9),),
        steps=4,
        output="h",
        populations=(whole,),
        edges=(Edge(source="x", target="h", weights=weights),),
    )
    back = import_nir(export_nir(net, tmp_path / "mine.nir"), steps=4, bits=8).network
    (population,) = back.populations
    different = [
        f.name
        for f in fields(population)
        if not np.array_equal(getattr(population, f.name), getattr(whole, f.name))
    ]
    assert different == [] and np.array_equal(back.edges[0].weights, weights)


def test_export_of_leaks(tmp_path: Path) -> None:
    leak = best_leak(0.75)
    net = Network(
        name="leaky",
        inputs=(Input(name="x", size=2),),
        steps=4,
        output="a",
        populations=(
            Population.make(
                "a",
                3,
                v_th=9,
                k0=leak.k0,
                leak_sign=[[[s] * 3 for s, _ in leak.terms] + [[0] * 3] * (3 - len(leak.terms))],
                leak_shift=[[[m] * 3 for _, m in leak.terms] + [[0] * 3] * (3 - len(leak.terms))],
                bias=2,
            ),
        ),
        edges=(Edge(source="x", target="a", weights=np.ones((2, 3), np.int32)),),
    )
    graph = nir.read(export_nir(net, tmp_path / "leaky.nir"))
    assert graph.nodes["a"].tau == pytest.approx(4) and graph.nodes["a"].v_leak == pytest.approx(8)
    tired = Network(
        name="n",
        inputs=(),
        edges=(),
        steps=1,
        output="a",
        populations=(Population.make("a", 1, refractory=2),),
    )
    with pytest.raises(InputError, match="refractory"):
        export_nir(tired, tmp_path / "x.nir")
