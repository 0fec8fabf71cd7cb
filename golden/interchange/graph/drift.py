"""How far the integers of an import are from its floats: spikes, answers, saturations.

Without data of the user the inputs are seeded random spikes of several rates.
"""

from dataclasses import dataclass

import numpy as np
import torch

from spikeloop.golden.interchange.common import Drift, PopulationDrift
from spikeloop.golden.interchange.graph.order import Graph
from spikeloop.golden.interchange.graph.twin import TwinRun
from spikeloop.golden.reference.integer import run
from spikeloop.pysim.network.graph import Network

__all__ = ["Floats", "drift_of", "random_spikes"]

RATES = (0.05, 0.2, 0.5, 0.9)
PER_RATE = 8  # random samples of each rate
MOST_VALUES = 1 << 24  # values of all steps and samples of one input; fewer samples beyond


@dataclass(frozen=True, eq=False)
class Floats:
    """``inputs`` by Input node, float64 [sample, step, ...], and what the twin makes of them."""

    inputs: dict[str, torch.Tensor]
    twin: TwinRun


def random_spikes(graph: Graph, steps: int) -> dict[str, torch.Tensor]:
    """Seeded random spikes for each Input node, float64 [sample, step, ...]."""
    rng = np.random.default_rng(0)
    values = steps * sum(int(np.prod(graph.shapes[name])) for name in graph.entries)
    per_rate = max(1, min(PER_RATE, MOST_VALUES // (len(RATES) * values)))
    rates = np.repeat(RATES, per_rate)
    inputs = {}
    for name in graph.entries:
        shape = graph.shapes[name]
        spikes = rng.random((rates.size, steps, *shape)) < rates.reshape(-1, 1, *(1 for _ in shape))
        inputs[name] = torch.as_tensor(spikes.astype(np.float64))
    return inputs


def drift_of(network: Network, floats: Floats) -> Drift:
    """The integers on the inputs of ``floats``, compared with what the floats did."""
    keys, twin = network.metadata["nodes"], floats.twin
    inputs = {
        node.name: floats.inputs[keys[node.name]].flatten(2).numpy().astype(np.uint8)
        for node in network.inputs
    }
    trace = run(network, inputs, membranes=network.readout == "membrane")
    rows, changed = [], 0
    for population in network.populations:
        key = keys[population.name]
        if key not in twin.spikes:
            continue
        real = twin.spikes[key].flatten(2).numpy()
        rounded = trace.spikes[population.name]
        saturated = int(trace.saturations[population.name].sum())
        different = int((rounded != real).sum()) if population.fire.any() else 0
        compared = real.size if population.fire.any() else 0
        rows.append(
            PopulationDrift(population.name, compared, different, float(real.mean()), saturated)
        )
        if population.name == network.output:
            if network.readout == "membrane":
                floats_say = twin.before[key].flatten(2)[:, -1].argmax(1).numpy()
                integers_say = trace.membranes[population.name][:, -1].argmax(1)
            else:
                floats_say, integers_say = real.sum(1).argmax(1), rounded.sum(1).argmax(1)
            changed = int((floats_say != integers_say).sum())
    samples = len(next(iter(floats.inputs.values())))
    return Drift(tuple(rows), changed, samples)
