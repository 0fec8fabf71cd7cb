"""The reference against the witness, which takes one neuron at a time on Python's integers."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloop.golden.reference.integer import IntegerTrace, predict, run, run_chunks
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.convolution import Conv
from spikeloop.pysim.network.elements import (
    Edge,
    Input,
    LeakRounding,
    LowBound,
    Population,
    Reset,
    WeightFormat,
)
from spikeloop.pysim.network.graph import Network, start_ticks
from tests.witness.network import Seen, witness

DTYPES = {"spikes": np.uint8, "membranes": np.int32, "saturations": np.int64}
MODES = [(r, s, b) for r in LeakRounding for s in Reset for b in LowBound]


def random_network(rng: np.random.Generator) -> Network:
    """One to three populations of a few neurons in all modes; values are near each other's size or
    at the ends of their ranges."""
    bits = int(rng.choice([8, 9, 16, 24, 32]))
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    names = [f"p{i}" for i in range(rng.integers(1, 4))]
    inputs = tuple(
        Input(name=f"i{i}", size=int(rng.integers(1, 9))) for i in range(rng.integers(1, 3))
    )
    sizes = {name: int(rng.integers(1, 10)) for name in names} | {
        node.name: node.size for node in inputs
    }
    graph = [
        (node.name, names[0] if i == 0 else str(rng.choice(names)), int(rng.integers(0, 4)))
        for i, node in enumerate(inputs)
    ]
    graph += [
        (a, b, int(rng.choice([0, 0, 1, 16]))) for a, b in zip(names, names[1:], strict=False)
    ]
    graph += [
        (str(rng.choice(names[i:])), names[i], int(rng.integers(1, 4)))
        for i in range(len(names))
        if rng.random() < 0.6
    ]
    starts = start_ticks(names, graph)
    depth = starts | {node.name: 0 for node in inputs}
    # What a chip can hold: physical delays of 1..16 between populations.
    graph = [
        (
            a,
            b,
            d if a not in names else min(max(d, 1 - depth[b] + depth[a]), 16 - depth[b] + depth[a]),
        )
        for a, b, d in graph
    ]
    populations, edges = [], []
    for name in names:
        size, pages, page_shift = sizes[name], int(rng.integers(1, 4)), int(rng.integers(0, 4))
        form = WeightFormat(rng.choice([0, 0, 0, 1, 2]))
        weight_bits = {0: int(rng.integers(1, 17)), 1: 1, 2: 2}[int(form)]
        least, most = {
            0: (-(1 << (weight_bits - 1)), (1 << (weight_bits - 1)) - 1),
            1: (0, 1),
            2: (-1, 1),
        }[int(form)]
        spread = min(2 * max(-least, most) + 2, high)

        def value(*shape: int, spread: int = spread) -> np.ndarray:
            usual = rng.integers(-spread, spread + 1, shape)
            ends = rng.choice([low, low + 1, low // 2, -1, 0, 1, high // 2, high - 1, high], shape)
            return np.where(rng.random(shape) < 0.2, ends, usual)

        def flag(*shape: int) -> np.ndarray:
            return rng.random(shape) < 0.4

        populations.append(
            Population.make(
                name,
                size,
                pages=pages,
                page_shift=page_shift,
                start=starts[name],
                weight_bits=weight_bits,
                weight_format=form,
                bias=value(pages, size),
                v_th=np.where(
                    flag(pages, size), np.abs(value(pages, size)), value(pages, size)
                ).clip(low, high),
                v_sub=value(pages, size),
                k0=flag(pages, size),
                leak_sign=rng.integers(-1, 2, (pages, 3, size)),
                leak_shift=np.where(
                    rng.random((pages, 3, size)) < 0.2,
                    bits,
                    rng.integers(0, bits + 1, (pages, 3, size)),
                ),
                rounding=rng.integers(0, 3, size),
                rectify=flag(size),
                fire=rng.random(size) < 0.9,
                reset=rng.integers(0, 3, size),
                v_reset=value(size),
                low=rng.integers(0, 4, size),
                v_low=value(size),
                v_low_reset=value(size),
                v_low_add=value(size),
                refractory=np.where(flag(size), rng.choice([1, 2, 3, 63], size), 0),
                hold=flag(size),
                v_init=value(size),
            )
        )
        for source, target, delay in graph:
            if target == name:
                edges.append(
                    Edge(
                        source=source,
                        target=target,
                        delay=delay,
                        weights=rng.integers(least, most + 1, (sizes[source], size)).astype(
                            np.int32
                        ),
                    )
                )
    return Network(
        name="random",
        inputs=inputs,
        populations=tuple(populations),
        edges=tuple(edges),
        steps=int(rng.integers(1, 20)),
        output=names[-1],
        membrane_bits=bits,
    )


def random_inputs(
    rng: np.random.Generator, network: Network, samples: int
) -> dict[str, np.ndarray]:
    return {
        node.name: (rng.random((samples, network.steps, node.size)) < rng.random()).astype(np.uint8)
        for node in network.inputs
    }


def assert_equal(trace: IntegerTrace, want: dict[str, Seen]) -> None:
    for name, seen in want.items():
        for field, dtype in DTYPES.items():
            array = getattr(trace, field)[name]
            assert array.dtype == dtype
            where = f"{field} of {name}"
            np.testing.assert_array_equal(array, getattr(seen, field), err_msg=where)


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1))
def test_random_networks_over_all_modes(seed: int):
    rng = np.random.default_rng(seed)
    network = random_network(rng)
    inputs = random_inputs(rng, network, 2)
    assert_equal(run(network, inputs), witness(network, inputs))


@pytest.mark.parametrize("bits", [8, 24, 32])
def test_every_combination_of_modes(rng: np.random.Generator, bits: int):
    """All 36 roundings x resets x bounds at once; each of the three clips, spikes and silence
    occur."""
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    repeat = 6
    size, spread = len(MODES) * repeat, min(1 << 15, high)
    modes = np.repeat(np.array(MODES), repeat, 0).T

    def value(most: int = spread) -> np.ndarray:
        return np.where(
            rng.random(size) < 0.15, rng.choice([low, high]), rng.integers(-most, most + 1, size)
        )

    population = Population.make(
        "p",
        size,
        weight_bits=16,
        rounding=modes[0],
        reset=modes[1],
        low=modes[2],
        bias=value(spread // 4),
        v_th=np.abs(value()).clip(0, high),
        v_sub=value(),
        k0=rng.random(size) < 0.8,
        leak_sign=rng.integers(-1, 2, (1, 3, size)),
        leak_shift=rng.integers(1, bits + 1, (1, 3, size)),
        v_reset=value(),
        v_low=value(),
        v_low_reset=value(),
        v_low_add=value(),
        refractory=rng.integers(0, 3, size),
        hold=rng.random(size) < 0.3,
        v_init=value(),
    )
    weights = rng.integers(-spread, spread, (6, size)).astype(np.int32)
    edges = (Edge(source="i", target="p", weights=weights),)
    network = Network(
        name="n",
        inputs=(Input(name="i", size=6),),
        populations=(population,),
        edges=edges,
        steps=30,
        output="p",
        membrane_bits=bits,
    )
    inputs = random_inputs(rng, network, 1)
    want = witness(network, inputs)
    assert 0.02 < want["p"].spikes.mean() < 0.98 and want["p"].saturations.any()
    assert_equal(run(network, inputs), want)


def wide_network(weights: np.ndarray) -> Network:
    return Network(
        name="n",
        inputs=(Input(name="i", size=len(weights)),),
        steps=1,
        output="p",
        membrane_bits=32,
        edges=(Edge(source="i", target="p", weights=weights.astype(np.int32)),),
        populations=(Population.make("p", weights.shape[1], weight_bits=16, fire=False),),
    )


@pytest.mark.parametrize(
    "count, precision", [(511, "highest"), (513, "highest"), (1200, "highest"), (400, "medium")]
)
def test_sums_are_exact_on_both_sides_of_the_float32_bound(
    rng: np.random.Generator, count: int, precision: str
):
    """2^15 x 512 = 2^24: below it float32 serves, from it on float64; odd weights make any rounding
    show."""
    weights = rng.choice(
        [-(1 << 15), (1 << 15) - 1, (1 << 15) - 3], (count, 40), p=[0.1, 0.45, 0.45]
    )
    inputs = (rng.random((64, 1, count)) < 0.95).astype(np.uint8)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        trace = run(wide_network(weights), {"i": inputs})
    finally:
        torch.set_float32_matmul_precision(before)
    np.testing.assert_array_equal(
        trace.membranes["p"][:, 0], inputs[:, 0].astype(np.int64) @ weights
    )


def test_sum_just_beyond_what_float32_holds():
    """2^24 + 1 is the first integer that float32 lacks: 512 x 2^15 - 511 x 1 would not show it, an
    odd total does."""
    weights = np.full((520, 1), (1 << 15) - 1)
    assert (
        run(wide_network(weights), {"i": np.ones((1, 1, 520), np.uint8)}).membranes["p"].item()
        == 520 * 32767
    )


def test_batches_and_bool_inputs_change_nothing(rng: np.random.Generator):
    network = random_network(rng)
    inputs = random_inputs(rng, network, 11)
    whole = run(network, inputs)
    zero = {name: np.zeros_like(array) for name, array in whole.membranes.items()}
    same = {
        name: Seen(*(getattr(whole, field)[name] for field in DTYPES), zero[name], zero[name])
        for name in whole.spikes
    }
    for batch in (1, 4, 11):
        assert_equal(run(network, inputs, batch=batch), same)
    assert [len(t.spikes["p0"]) for t in run_chunks(network, inputs, batch=4)] == [4, 4, 3]
    bare = run(network, {k: v.astype(bool) for k, v in inputs.items()}, membranes=False)
    assert bare.membranes == {} and all(
        np.array_equal(bare.spikes[n], whole.spikes[n]) for n in whole.spikes
    )


def test_no_samples_give_empty_traces(rng: np.random.Generator):
    network = random_network(rng)
    trace = run(network, random_inputs(rng, network, 0))
    p = network.populations[0]
    assert trace.spikes[p.name].shape == (0, network.steps, p.size)


def test_predict():
    network = wide_network(np.ones((1, 3)))
    spikes = np.array(
        [[[0, 1, 0], [0, 1, 1], [1, 0, 1]], [[0, 0, 0]] * 3, [[0, 0, 1]] * 3], np.uint8
    )
    membranes = np.array(
        [[[9, 9, 9], [-1, -2, -1]], [[0, 0, 9], [-3, 4, 2]], [[0] * 3, [-5, -4, -3]]], np.int32
    )
    trace = IntegerTrace({"p": spikes}, {"p": membranes})
    assert predict(network, trace).tolist() == [1, 0, 2]
    by_membrane = replace(network, readout="membrane")
    assert predict(by_membrane, trace).tolist() == [0, 1, 2]
    with pytest.raises(InputError, match="must hold the membranes of 'p'"):
        predict(by_membrane, IntegerTrace({"p": spikes}))


@pytest.mark.parametrize(
    "inputs, message",
    [
        ({}, "stimulus must hold exactly the inputs i, not none"),
        (
            {"i": np.zeros((2, 1, 3), np.uint8), "j": np.zeros((2, 1, 3), np.uint8)},
            "must hold exactly the inputs i, not i, j",
        ),
        (
            {"i": np.zeros((2, 1, 4), np.uint8)},
            r"'i' must be of shape \(2, 1, 3\) .*, not \(2, 1, 4\)",
        ),
        ({"i": np.zeros((2, 2, 3), np.uint8)}, r"must be of shape \(2, 1, 3\) .*, not \(2, 2, 3\)"),
        ({"i": np.zeros((2, 1, 3))}, "must be uint8, not float64"),
        ({"i": np.full((2, 1, 3), 2, np.uint8)}, "must be 0 or 1, not 2"),
    ],
)
def test_bad_inputs_are_refused(inputs: dict, message: str):
    with pytest.raises(InputError, match=message):
        run(wide_network(np.ones((3, 2))), inputs)


def test_bad_batch_is_refused():
    with pytest.raises(InputError, match="batch must be at least 1, not 0"):
        run(wide_network(np.ones((3, 2))), {"i": np.zeros((2, 1, 3), np.uint8)}, batch=0)


@pytest.mark.parametrize("patches", [1, 1 << 12, 1 << 24])  # fewer than a sample has, and more
@pytest.mark.parametrize("scale", [1, 1 << 12, 1 << 15])
@pytest.mark.parametrize("groups", [1, 2])
def test_convolution_equals_its_matrix(scale, groups, patches, monkeypatch):
    monkeypatch.setattr("spikeloop.golden.reference.synapses.PATCHES", patches)
    conv = Conv.make((4, 7, 6), 6, (3, 2), stride=(2, 1), padding=(1, 0), groups=groups)
    rng = np.random.default_rng(scale + groups)
    weights = (
        (rng.integers(-3, 4, conv.weights_shape) * scale)
        .clip(-(1 << 15), (1 << 15) - 1)
        .astype(np.int32)
    )
    lines, neurons = np.arange(4 * 7 * 6), np.arange(math.prod(conv.target))

    def net(edge):
        p = Population.make(
            "p",
            neurons.size,
            weight_bits=16,
            v_th=2 * scale,
            leak_sign=[[[-1], [0], [0]]],
            leak_shift=2,
        )
        return Network(
            name="n",
            inputs=(Input(name="i", size=lines.size),),
            populations=(p,),
            edges=(edge,),
            steps=4,
            output="p",
        )

    folded = net(Edge(source="i", target="p", weights=weights, conv=conv))
    flat = net(Edge(source="i", target="p", weights=conv.block(weights, lines, neurons)))
    x = {"i": (rng.random((5, 4, lines.size)) < 0.3).astype(np.uint8)}
    a, b = run(folded, x), run(flat, x)
    assert a.spikes["p"].any() and not a.spikes["p"].all()
    np.testing.assert_array_equal(a.membranes["p"], b.membranes["p"])
    np.testing.assert_array_equal(a.spikes["p"], b.spikes["p"])
    assert Network.from_bytes(folded.to_bytes()).edges[0].conv == conv
