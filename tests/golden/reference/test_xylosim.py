"""An independent oracle: Rockpool's XyloSim, skipped where it is absent.

It has a shift leak with at-least-one rounding, saturation at 16 bits and a soft reset. Its neurons
have a second state, the synaptic current. It records the current, which is the bias of our steps.
"""

from typing import Any

import numpy as np
import pytest

from spikeloop.golden.reference.integer import run
from spikeloop.pysim.network.elements import Edge, Input, LeakRounding, Population, Reset
from spikeloop.pysim.network.graph import Network

xylo = pytest.importorskip(
    "xylosim.v2", reason="package xylosim is not installed: pip install -e '.[oracles]'"
)

NEURONS, LINES, TICKS = 64, 16, 60


def by_xylosim(
    rng: np.random.Generator, v_th: int, shifts: np.ndarray, bias: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Currents with bias, membranes and spikes, int64 ``[tick, neuron]``.

    The layer keeps pointers to its lists, so they must live.
    """
    weights, spikes = rng.integers(-128, 128, (LINES, NEURONS)), rng.random((TICKS, LINES)) < 0.2
    given: list[Any] = [
        [[xylo.XyloSynapse(n, 0, int(w)) for n, w in enumerate(row)] for row in weights],
        [[] for _ in range(NEURONS)],
        [[xylo.XyloSynapse(0, 0, 1)] for _ in range(NEURONS)],
        [[] for _ in range(NEURONS)],
        [v_th] * NEURONS,
        [1000],
        True,
        bias.tolist(),
        [0],
        4,
        0,
        0,
        shifts.tolist(),
        [4],
        [[int(d), 4] for d in rng.integers(1, 6, NEURONS)],
        [[4]],
        "oracle",
    ]
    events = spikes.astype(int).tolist()
    layer = xylo.XyloLayer(*given)
    layer.evolve(events)
    current, v, fired = (
        np.array(a).astype(np.int64)
        for a in (layer.rec_i_syn, layer.rec_v_mem, layer.rec_recurrent_spikes)
    )
    return (
        current.reshape(NEURONS, TICKS).T + bias,
        v.reshape(NEURONS, TICKS).T,
        fired.reshape(TICKS, NEURONS),
    )


def step(
    v: np.ndarray,
    current: np.ndarray,
    shifts: np.ndarray,
    v_th: int,
    changed: LeakRounding | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Membranes and spikes after one step of ours from ``v``.

    Every tick of every neuron is a neuron of its own. XyloSim's leak is v >> shift, but at least
    one: for v >= 0 as our AT_LEAST_ONE has it, below 0 as our FLOOR, which is never less there.
    """
    rounding = (
        np.where(v < 0, LeakRounding.FLOOR, LeakRounding.AT_LEAST_ONE)
        if changed is None
        else changed
    )
    zero = np.zeros_like(shifts)
    out = Population.make(
        "out",
        v.size,
        weight_bits=1,
        bias=current,
        v_init=v,
        v_th=v_th,
        v_sub=v_th,
        reset=Reset.SOFT,
        rounding=rounding,
        leak_sign=np.stack([zero - 1, zero, zero]),
        leak_shift=np.stack([shifts, zero, zero]),
    )
    network = Network(
        name="oracle",
        inputs=(Input(name="x", size=1),),
        populations=(out,),
        steps=1,
        output="out",
        membrane_bits=16,
        edges=(Edge(source="x", target="out", weights=np.zeros((1, v.size), np.int32)),),
    )
    got = run(network, {"x": np.zeros((1, 1, 1), np.uint8)})
    return got.membranes["out"].ravel(), got.spikes["out"].ravel()


@pytest.mark.parametrize("v_th", [32767, 20000])
def test_every_spike_and_membrane(v_th: int, rng: np.random.Generator) -> None:
    shifts, bias = rng.integers(1, 12, NEURONS), rng.integers(-50, 51, NEURONS)
    current, v, fired = by_xylosim(rng, v_th, shifts, bias)
    before = np.concatenate([np.zeros((1, NEURONS), np.int64), v[:-1]])
    given = before.ravel(), current.ravel(), np.tile(shifts, TICKS), v_th
    membranes, spikes = step(*given)
    np.testing.assert_array_equal(membranes.reshape(TICKS, NEURONS), v)
    np.testing.assert_array_equal(spikes.reshape(TICKS, NEURONS), fired)
    assert (
        fired.sum() > 20 and fired.max() == 1
    )  # none of these spikes twice in a tick, which ours never does
    assert (v == -32768).any() and ((before > 0) & (before < 1 << shifts)).any()
    for wrong in LeakRounding:
        assert not np.array_equal(step(*given, wrong)[0], membranes)
