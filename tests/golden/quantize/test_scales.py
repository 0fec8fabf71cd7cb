"""Imported networks rounded again: bits by population, the search for the narrowest, what stays."""

import numpy as np
import pytest

from spikeloop.golden.quantize.scales import Requantizer, with_bits
from spikeloop.golden.quantize.widths import narrowest, sweep
from spikeloop.golden.reference.integer import run
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.convolution import Conv
from spikeloop.pysim.network.elements import Edge, Input, Population, WeightFormat
from spikeloop.pysim.network.graph import Network


def fine(rng: np.random.Generator) -> Network:
    """12 lines, 10 neurons, a pool, ternary weights, 3 neurons; 14-bit weights of scale 1,000."""
    pool = Conv.make((10, 1, 1), 10, (1, 1), groups=10)
    return Network(
        name="fine",
        inputs=(Input(name="x", size=12),),
        populations=(
            Population.make("a", 10, weight_bits=14, v_th=900, v_reset=-100, bias=30),
            Population.make("pool", 10, start=1, weight_bits=2, v_th=1, k0=False),
            Population.make(
                "b", 10, start=2, weight_bits=2, weight_format=WeightFormat.TERNARY, v_th=1
            ),
            Population.make("c", 3, start=3, weight_bits=14, v_th=1200),
        ),
        edges=(
            Edge(
                source="x", target="a", weights=rng.integers(-900, 1000, (12, 10)).astype(np.int32)
            ),
            Edge(source="a", target="pool", weights=np.ones((10, 1, 1, 1), np.int32), conv=pool),
            Edge(source="pool", target="b", weights=np.eye(10, dtype=np.int32)),
            Edge(
                source="b", target="c", weights=rng.integers(-900, 1300, (10, 3)).astype(np.int32)
            ),
        ),
        steps=8,
        output="c",
        metadata={"scales": {"a": 1000.0, "c": 1000.0}},
    )


def rounding(rng: np.random.Generator) -> Requantizer:
    """Labels are the fine network's own answers: then it is right in every sample."""
    network = fine(rng)
    x = {"x": (rng.random((150, 8, 12)) < 0.4).astype(np.uint8)}
    labels = run(network, x).spikes["c"].sum(1).argmax(1)
    return Requantizer(network, x, labels)


def test_bits_by_population(rng: np.random.Generator) -> None:
    network = with_bits(fine(rng), {"a": 5, "c": 3})
    assert [p.weight_bits for p in network.populations] == [5, 2, 2, 3]
    assert np.abs(network.edges[0].weights).max() <= 16
    assert np.array_equal(network.edges[2].weights, np.eye(10))
    scale = network.metadata["scales"]["a"]
    a = network.population("a")
    assert a.v_th[0, 0] == np.ceil(900 * scale / 1000 - 1e-9)
    assert a.v_reset[0] == np.rint(-100 * scale / 1000) and a.bias[0, 0] == np.rint(
        30 * scale / 1000
    )


def test_the_same_bits_at_the_same_scale_change_no_weight(rng: np.random.Generator) -> None:
    once = with_bits(fine(rng), 6)
    again = with_bits(once, 6)
    shares = [np.corrcoef(one.weights.ravel(), two.weights.ravel())[0, 1]
              for one, two in zip(once.edges[::3], again.edges[::3], strict=True)]  # fmt: skip
    assert min(shares) > 0.99


@pytest.mark.parametrize("drop", [0.0, 3.0, 20.0])
def test_the_narrowest_hold_and_cannot_be_narrowed(drop: float, rng: np.random.Generator) -> None:
    made = rounding(rng)
    assert made.names == ["a", "c"] and made.neurons == [10, 3] and made.float_accuracy == 1.0
    if drop == 0.0:
        made.labels = made.labels.copy()
        made.labels[:40] = (made.labels[:40] + 1) % 3  # a floor that fewer bits may keep
    floor = made.score(made.fine, run(made.fine, made.inputs)) - drop / 100

    def score(bits: list[int]) -> float:
        network = made.network(bits)
        return made.score(network, run(network, made.inputs))

    made.float_accuracy = made.score(made.fine, run(made.fine, made.inputs))
    try:
        bits = narrowest(made, drop, most=14)
    except InputError:
        assert score([14, 14]) < floor - 1e-9
        return
    assert score(bits) >= floor - 1e-9
    for i in range(2):
        if bits[i] > 2:
            assert score([b - (i == j) for j, b in enumerate(bits)]) < floor - 1e-9


def test_a_sweep_of_an_imported_network(rng: np.random.Generator) -> None:
    made = rounding(rng)
    study = sweep(made, (2, 4, 8))
    assert study["layers"] == ["a", "c"] and len(study["rows"]) == 9
    best = next(r for r in study["rows"] if r["layer"] is None and r["bits"] == 8)
    assert best["columns"] == 8 * 13 and best["accuracy"] > 0.9
