"""CubaLIF and CubaLI of NIR: as an independent Euler integration, and as snnTorch runs them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from spikeloop.golden.interchange.graph.semantics import Semantics
from spikeloop.golden.interchange.nir.read import import_nir
from spikeloop.golden.interchange.nir.write import export_nir
from spikeloop.golden.quantize.states import finer
from spikeloop.golden.reference.integer import run
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.elements import Population, StateUse
from spikeloop.pysim.network.graph import Network
from tests.golden.interchange.euler import Euler

nir = pytest.importorskip("nir", reason="package nir is not installed: pip install -e '.[nir]'")

DT, STEPS, SAMPLES = 1e-4, 14, 30


def weights(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.integers(-3, 5, shape).astype(float)


def cuba(kind: str, size: int, **changes: Any) -> Any:
    """tau of two steps: decays of a half."""
    values = {
        "tau_syn": np.full(size, 2e-4),
        "tau_mem": np.full(size, 2e-4),
        "r": np.full(size, 2.0),
        "v_leak": np.zeros(size),
        "w_in": np.full(size, 1.5),
    }
    if kind == "CubaLIF":
        values |= {"v_threshold": np.full(size, 3.3), "v_reset": np.zeros(size)}
    return getattr(nir, kind)(**(values | changes))


def recurrent(rng: np.random.Generator, last: Any, **changes: Any) -> Any:
    """Affine, CubaLIF with a loop, Linear, ``last``."""
    nodes = {
        "input": nir.Input(np.array([8])),
        "fc": nir.Affine(weights(rng, 6, 8), weights(rng, 6) / 2),
        "lif": cuba("CubaLIF", 6, **changes),
        "loop": nir.Linear(weights(rng, 6, 6) / 2 - 1),
        "out": nir.Linear(weights(rng, 4, 6)),
        "last": last,
        "output": nir.Output(np.array([4])),
    }
    edges = [("input", "fc"), ("fc", "lif"), ("lif", "loop"), ("loop", "lif")]
    edges += [("lif", "out"), ("out", "last"), ("last", "output")]
    return nir.NIRGraph(nodes, edges, type_check=False)


def imported(graph: Any, path: Path, **semantics: Any) -> Network:
    nir.write(path / "net.nir", graph)
    return import_nir(path / "net.nir", Semantics(**semantics), steps=STEPS, bits=16).network


def spikes_in(rng: np.random.Generator) -> np.ndarray:
    return (rng.random((SAMPLES, STEPS, 8)) < 0.4).astype(np.uint8)


@pytest.mark.parametrize("reset", ["hard", "soft", "late", "none"])
def test_cubalif_is_that_of_euler(reset: str, rng: np.random.Generator, tmp_path: Path) -> None:
    leak = rng.integers(-2, 3, 6) / 4
    graph = recurrent(rng, cuba("CubaLIF", 4), v_leak=leak)
    network = imported(graph, tmp_path, reset=reset)
    x = spikes_in(rng)
    got = run(network, {"input": x}).spikes["last"]
    want = Euler(graph, reset=reset).run({"input": x})
    assert 0.05 < want.mean() < 0.95 and np.array_equal(got, want)
    assert (network.population("lif").current == StateUse.NEW).all()
    assert network.metadata["dt"] == DT and network.current_bits == 24


def test_cubali_is_that_of_euler(rng: np.random.Generator, tmp_path: Path) -> None:
    graph = recurrent(rng, cuba("CubaLI", 4, v_leak=np.array([0.5, 0.0, -1.0, 2.0])))
    network = imported(graph, tmp_path)
    x = spikes_in(rng)
    p = network.population("last")
    unit = network.metadata["scales"]["last"] * finer(p)
    got = run(network, {"input": x}).membranes["last"] / unit
    want = Euler(graph).run({"input": x})
    assert network.readout == "membrane" and not p.fire.any()
    assert np.abs(got - want).max() < 1e-3 * np.abs(want).max()


def test_other_decays_are_approximated(rng: np.random.Generator, tmp_path: Path) -> None:
    graph = recurrent(rng, cuba("CubaLIF", 4), tau_syn=np.full(6, 7e-4), tau_mem=np.full(6, 9e-4))
    nir.write(tmp_path / "net.nir", graph)
    made = import_nir(tmp_path / "net.nir", steps=STEPS, bits=16)
    x = spikes_in(rng)
    got = run(made.network, {"input": x}).spikes["last"]
    want = Euler(graph, snap=12).run({"input": x})
    assert 0 < (got != want).mean() < 0.02 or np.array_equal(got, want)
    (said,) = [a.value for a in made.assumed if a.what == "node 'lif'"]
    assert "decay by 0.00" in said and "of its current by 0.00" in said


def test_snntorch_through_nir(rng: np.random.Generator, tmp_path: Path) -> None:
    """Its own export of Synaptic, with the reset that it applies."""
    snn = pytest.importorskip("snntorch", reason="package snntorch is not installed")
    from snntorch.export_nir import export_to_nir

    torch.manual_seed(0)

    def synaptic(size: int, threshold: float) -> Any:
        values = (torch.full((size,), value) for value in (0.5, 0.75, threshold))
        alpha, beta, theta = values
        return snn.Synaptic(alpha, beta, threshold=theta, init_hidden=True)

    net = nn.Sequential(nn.Linear(8, 9), synaptic(9, 6.3), nn.Linear(9, 4), synaptic(4, 3.3))
    for layer in (net[0], net[2]):
        for parameter in layer.parameters():
            parameter.data = torch.randint(-2, 4, parameter.shape).float()
    graph = export_to_nir(net, torch.zeros(8))
    network = imported(graph, tmp_path, framework="snntorch")
    x = spikes_in(rng)
    for layer in (net[1], net[3]):
        layer.mem, layer.syn = torch.zeros(0), torch.zeros(0)
    with torch.no_grad():
        want = torch.stack([net(torch.as_tensor(x[:, t]).float()) for t in range(STEPS)], 1).numpy()
    got = run(network, {network.inputs[0].name: x}).spikes[network.output]
    assert 0.05 < want.mean() < 0.95 and np.array_equal(got, want)


def test_metadata_of_strangers_is_no_current(rng: np.random.Generator, tmp_path: Path) -> None:
    graph = nir.NIRGraph.from_list(nir.Linear(weights(rng, 2, 8)), nir.IF(np.ones(2), np.ones(2)))
    for node in graph.nodes.values():
        node.metadata = {"current": "huge", "adaptation": 3}
    network = imported(graph, tmp_path)
    assert network.current_bits == 0 and network.adaptation_bits == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tau_syn": np.full(4, 5e-5)}, "dt must be at most tau_syn of node 'last'"),
        ({"tau_mem": np.zeros(4)}, "tau_mem of node 'last' must be positive, not 0"),
    ],
)
def test_time_constants_are_checked(
    changes: dict[str, Any], words: str, rng: np.random.Generator, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=words):
        imported(recurrent(rng, cuba("CubaLIF", 4, **changes)), tmp_path)


def test_a_read_out_feeds_nothing(rng: np.random.Generator, tmp_path: Path) -> None:
    nodes = {
        "input": nir.Input(np.array([8])),
        "fc": nir.Linear(weights(rng, 4, 8)),
        "li": cuba("CubaLI", 4),
        "fc2": nir.Linear(weights(rng, 4, 4)),
        "lif": cuba("CubaLIF", 4),
        "output": nir.Output(np.array([4])),
    }
    graph = nir.NIRGraph(nodes, list(zip(nodes, list(nodes)[1:], strict=False)), type_check=False)
    with pytest.raises(InputError, match="edge 'li'->'fc2' must come from a spiking node"):
        imported(graph, tmp_path)


def exported(network: Network, path: Path, **options: Any) -> Network:
    """The network after one more export and import, at its own bits."""
    return import_nir(export_nir(network, path / "back.nir"), steps=STEPS, **options).network


@pytest.mark.parametrize("reset", ["hard", "soft"])
@pytest.mark.parametrize("last", ["CubaLIF", "CubaLI"])
def test_an_export_comes_back(
    reset: str, last: str, rng: np.random.Generator, tmp_path: Path
) -> None:
    """Every parameter and every state, with units, roundings and a bias of our own."""
    graph = recurrent(rng, cuba(last, 4, tau_syn=np.full(4, 7e-4)), v_leak=np.full(6, 0.25))
    graph.nodes["fc"] = nir.Linear(weights(rng, 6, 8))
    ours = imported(graph, tmp_path, reset=reset)
    units = {"gain": 7, "fraction": 5, "v_th": 14, "v_sub": 13, "bias": 1}
    changes = units | {"current_rounding": 1, "rounding": 2}
    ours = replace(ours, populations=tuple(changed(p, changes) for p in ours.populations))
    back = exported(ours, tmp_path, bits=16)
    for p in ours.populations:
        other = back.population(p.name)
        idle = () if p.fire.all() else ("v_th", "v_sub", "reset")  # of a read-out
        one, two = ({k: getattr(q, k).tolist() for k in q.parameters} for q in (p, other))
        assert {k: v for k, v in one.items() if k not in idle} == {
            k: v for k, v in two.items() if k not in idle
        }
    x = spikes_in(rng)
    first, second = run(ours, {"input": x}), run(back, {"input": x})
    assert 0.05 < first.spikes["lif"].mean() < 0.95
    for part in ("spikes", "membranes", "synaptic"):
        for name, values in getattr(first, part).items():
            assert np.array_equal(values, getattr(second, part)[name]), (part, name)


def changed(population: Population, values: dict[str, int]) -> Population:
    """The population with one value of each named parameter for all its neurons."""
    arrays = {key: np.full_like(getattr(population, key), value) for key, value in values.items()}
    return replace(population, **arrays)


def one_layer(rng: np.random.Generator, path: Path, **changes: Any) -> Network:
    """Linear, CubaLIF; ``changes`` replace parameters of the population."""
    graph = nir.NIRGraph.from_list(nir.Linear(weights(rng, 4, 8)), cuba("CubaLIF", 4))
    network = imported(graph, path)
    (population,) = network.populations
    return replace(network, populations=(replace(population, **changes),))


def test_fewer_bits_than_the_weights_have(rng: np.random.Generator, tmp_path: Path) -> None:
    """Then the import chooses units of its own, as for the file of a stranger."""
    ours = one_layer(rng, tmp_path)
    back = exported(ours, tmp_path, bits=4)
    most = [int(np.abs(n.edges[0].weights).max()) for n in (ours, back)]
    assert most[0] > 8 and 4 <= most[1] <= 8
    assert back.populations[0].gain[0] != ours.populations[0].gain[0]


@pytest.mark.parametrize(
    "metadata",
    [
        {"gain": np.full(4, 5), "fraction": np.full(4, 10)},  # not what w_in and r say
        {"gain": np.array([4, 4, 4, 5])},
        {"current_rounding": np.full(4, 9)},
        {"rounding": np.zeros(3, int)},
        {"gain": np.full(4, 4.0)},
        {"gain": "huge"},
    ],
)
def test_shifts_of_a_file_must_agree_with_its_factors(
    metadata: dict[str, Any], rng: np.random.Generator, tmp_path: Path
) -> None:
    ours = one_layer(rng, tmp_path)
    ours = replace(ours, populations=(changed(ours.populations[0], {"gain": 4, "fraction": 9}),))
    graph = nir.read(export_nir(ours, tmp_path / "one.nir"))
    (node,) = (n for n in graph.nodes.values() if isinstance(n, nir.CubaLIF))
    said = node.metadata
    gains = []
    for shifts in ({}, {"gain": "none"}, metadata):
        node.metadata = said | shifts
        gains.append(imported(graph, tmp_path).populations[0].gain.tolist())
    assert gains[0] == [4] * 4 and gains[1] == gains[2] != gains[0]


OFF = np.zeros((1, 3, 4), np.int8)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"current": np.full(4, StateUse.OLD, np.uint8)},
            "without currents that act before their update to be exported to NIR, not with",
        ),
        (
            {"current": np.array([1, 0, 1, 1], np.uint8)},
            "without neurons without a current among others to be exported",
        ),
        (
            {"gain": np.array([1, 0, 1, 1], np.uint8)},
            "without currents of several units to be exported",
        ),
        (
            {"current_k0": np.ones((1, 4), bool), "current_sign": OFF},
            "must decay by a factor of 0 or more and below 1 to be exported to NIR, not by 1$",
        ),
        ({"k0": np.ones((1, 4), bool), "leak_sign": OFF}, "must decay in all neurons, or in none"),
        ({"adaptation": np.ones(4, np.uint8)}, "must be without adaptations to be exported to NIR"),
    ],
)
def test_what_nir_cannot_say_is_not_exported(
    changes: dict[str, np.ndarray], words: str, rng: np.random.Generator, tmp_path: Path
) -> None:
    network = one_layer(rng, tmp_path)
    (population,) = network.populations
    bits = {"adaptation_bits": 8} if "adaptation" in changes else {}
    network = replace(network, populations=(replace(population, **changes),), **bits)
    with pytest.raises(InputError, match=words):
        export_nir(network, tmp_path / "back.nir")
    assert not (tmp_path / "back.nir").exists()


def test_rockpool_through_nir(rng: np.random.Generator, tmp_path: Path) -> None:
    """Its own export, against its own forward with at most one spike a step.

    A half needs a bit below the point in each step; those of 24 that are left decide all spikes but
    those of membranes within 2^-14 of the threshold.
    """
    modules = pytest.importorskip(
        "rockpool.nn.modules",
        reason="package rockpool is not installed: pip install -e '.[frameworks]'",
    )
    from rockpool.nn.combinators import Sequential
    from rockpool.nn.modules.torch.nir import to_nir
    from rockpool.parameters import Constant

    torch.manual_seed(0)
    dt = 1e-3
    tau = Constant(float(dt / np.log(2)))

    def lif(size: int) -> Any:
        return modules.LIFTorch(
            (size,),
            tau_mem=tau,
            tau_syn=tau,
            threshold=Constant(3.3),
            bias=Constant(0.0),
            dt=dt,
            max_spikes_per_dt=torch.tensor(1.0),
        )

    layers = modules.LinearTorch((8, 6)), lif(6), modules.LinearTorch((6, 3)), lif(3)
    net = Sequential(*layers)
    for layer in (layers[0], layers[2]):
        layer.weight.data = torch.randint(-2, 5, layer.weight.shape).float()
    x = spikes_in(rng)
    want = net(torch.as_tensor(x).float())[0].detach().numpy()
    nir.write(tmp_path / "net.nir", to_nir(net, torch.zeros(1, 5, 8)))
    made = import_nir(tmp_path / "net.nir", Semantics(framework="rockpool"), steps=STEPS, bits=16)
    network = made.network
    (several,) = [a.value for a in made.assumed if a.what == "several spikes in one step"]
    assert "passes twice its threshold in" in several
    got = run(network, {network.inputs[0].name: x}).spikes[network.output]
    assert 0.05 < want.mean() < 0.95 and (got != want).mean() < 0.005
