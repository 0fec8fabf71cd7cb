"""The float network: a membrane by hand, and the same course as the integers."""

import numpy as np
import pytest

from spikeloop.cosim.dendrites.study import STEPS, Plan, prepare
from spikeloop.golden.dendrites import floats
from spikeloop.pysim.dendrites.sounds import sounds
from spikeloop.pysim.dendrites.state import begin
from spikeloop.pysim.dendritic import numba_engine

pytest.importorskip("numba", reason="numba is not installed: pip install -e '.[fast]'")


def test_floats_and_integers_are_one_network_before_it_learns() -> None:
    """Responses of the same weights, averaged over time: only the spikes differ."""
    task = prepare(sounds(), Plan(1, seed=5))
    size, weights = task.net.neurons, task.state.weights / 2**30
    g = np.full((size, size), floats.G_MAX / size)
    np.fill_diagonal(g, 0)
    asked = {"presentations": 1, "trials": 40, "steps": STEPS, "seed": 1}
    want = floats.respond(task.scene.probes[:1], weights, g, **asked)[0, 0, 50:].mean(0)
    found = np.zeros(size)
    for trial in range(40):
        state = begin(task.net, task.state.weights, task.state.inhibition, trial)
        trace = numba_engine.show(task.net, task.stimuli[1], state, STEPS, learn=False)
        found += trace.field("f")[50:].mean(0) / 65535 / 40
    assert np.abs(found - want).max() < 0.03 and np.ptp(want) > 0.1


def test_weights_that_learn_nothing_decay() -> None:
    weights = np.full((2, 8), 0.5)
    w, g = floats.train(np.zeros((1, 8)), weights, passes=2, steps=50, seed=1)
    steps = 2 * 50 - 51  # behind the warm-up, which is the first pass and a step
    assert w == pytest.approx(np.full((2, 8), 0.5 * (1 - 5e-6 * 0.5) ** steps), abs=1e-9)
    assert g.max() <= 0.2 and (g.diagonal() == 0).all()
