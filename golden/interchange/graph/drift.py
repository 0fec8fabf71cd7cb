"""How far the integers of an import are from its floats: spikes, answers, saturations.

Without data of the user the inputs are seeded random spikes of several rates.
"""

from dataclasses import dataclass

import numpy as np
import torch

from spikeloop.golden.interchange.common import Drift, PopulationDrift
from spikeloop.golden.interchange.graph.order import Graph
from spikeloop.golden.interchange.graph.twin import TwinRun
from spikeloop.golden.reference.integer import IntegerTrace, predict, run
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.network.readout import Readout

__all__ = ["Floats", "drift_of", "float_answers", "random_spikes"]

RATES = (0.05, 0.2, 0.5, 0.9)
PER_RATE = 8  # random samples of each rate
MOST_VALUES = 1 << 23  # lines and neurons of all steps and samples; fewer samples beyond


@dataclass(frozen=True, eq=False)
class Floats:
    """``inputs`` by Input node, float64 [sample, step, ...], and what the twin makes of them."""

    inputs: dict[str, torch.Tensor]
    twin: TwinRun


def random_spikes(graph: Graph, steps: int) -> dict[str, torch.Tensor]:
    """Seeded random spikes for each Input node, float64 [sample, step, ...]."""
    rng = np.random.default_rng(0)
    values = steps * sum(int(np.prod(shape)) for shape in graph.shapes.values())
    per_rate = max(1, min(PER_RATE, MOST_VALUES // (len(RATES) * values)))
    rates = np.repeat(RATES, per_rate)
    inputs = {}
    for name in graph.entries:
        shape = graph.shapes[name]
        spikes = rng.random((rates.size, steps, *shape)) < rates.reshape(-1, 1, *(1 for _ in shape))
        inputs[name] = torch.as_tensor(spikes.astype(np.float64))
    return inputs


def drift_of(network: Network, floats: Floats, readout: Readout | None = None) -> Drift:
    """The integers on the inputs of ``floats``, compared with what the floats did.

    ``readout`` None: the network's own.
    """
    keys, twin = network.metadata["nodes"], floats.twin
    readout = readout or Readout.of(network)
    trace = _integers(network, floats, readout)
    rows = []
    for population in network.populations:
        key = keys.get(population.name)
        if key not in twin.spikes:
            continue
        real, fires = twin.spikes[key].flatten(2).numpy(), population.fire.any()
        different = (trace.spikes[population.name] != real).sum()
        rows.append(
            PopulationDrift(
                population.name,
                real.size if fires else 0,
                int(different) if fires else 0,
                float(real.mean()),
                int(trace.saturations[population.name].sum()),
            )
        )
    said = float_answers(network, floats, readout)
    answered = predict(network, trace, readout)
    return Drift(tuple(rows), int((said != answered).sum()), len(said))


def float_answers(network: Network, floats: Floats, readout: Readout) -> np.ndarray:
    """What the floats answer, int64 [sample]."""
    twin = floats.twin.after if readout.by_membrane else floats.twin.spikes
    values = twin[network.metadata["nodes"][network.output]]
    return readout.answers(values.flatten(2).numpy())


def _integers(network: Network, floats: Floats, readout: Readout) -> IntegerTrace:
    keys = network.metadata["nodes"]
    inputs = {
        node.name: floats.inputs[keys[node.name]].flatten(2).numpy().astype(np.uint8)
        for node in network.inputs
    }
    return run(network, inputs, membranes=readout.by_membrane)
