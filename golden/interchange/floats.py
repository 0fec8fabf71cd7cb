"""The float model of an import, kept beside its network: ``floats.safetensors``.

It holds the graph that was imported, so that a comparison can say for any stimulus how far the
integers are from the floats: spikes by population, answers, and the accuracy of both.
"""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save as pack

from spikeloop.golden.interchange.common import Drift, PopulationDrift
from spikeloop.golden.interchange.graph.drift import Floats, drift_of, float_answers
from spikeloop.golden.interchange.graph.node import Node
from spikeloop.golden.interchange.graph.order import Graph
from spikeloop.golden.interchange.graph.semantics import Semantics, Settled
from spikeloop.golden.interchange.graph.twin import Twin
from spikeloop.golden.nets.files import read_safetensors
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import write_atomic
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.network.readout import Readout

__all__ = ["FILE", "FloatColumn", "column", "load", "save"]

FILE = "floats.safetensors"
KEY, VERSION = "spikeloop_floats", 1
KEPT = ("shape", "fixed", "current", "adaptation", "adaptation_reset")
CHUNK = 50  # samples at once
MOST = 1 << 31  # neuron-steps and line-steps of all samples; fewer samples are run beyond


@dataclass(frozen=True)
class FloatColumn:
    """The float model on a stimulus, beside the integers: ``drift`` of both on ``drift.samples``
    samples; ``accuracy`` of the floats there, None without labels."""

    drift: Drift
    accuracy: float | None

    def to_dict(self) -> dict[str, Any]:
        return {"accuracy": self.accuracy, **asdict(self.drift)}


def save(path: Path, twin: Twin, network: Network) -> Path:
    """Write the float model of ``network``, whole or not at all."""
    nodes, arrays = {}, {}
    for name, node in twin.graph.nodes.items():
        known = {
            what: settled[name]
            for what, settled in (("compare", twin.settled.compare), ("reset", twin.settled.reset))
            if name in settled
        }
        texts = {key: value for key, value in node.values.items() if isinstance(value, str)}
        kept = {key: value for key, value in node.metadata.items() if key in KEPT}
        nodes[name] = {"kind": node.kind, "texts": texts, "metadata": kept | known}
        for key, value in node.values.items():
            if not isinstance(value, str):
                arrays[f"{name}/{key}"] = np.ascontiguousarray(value, np.float64)
    edges = [[s, t] for t, sources in twin.graph.before.items() for s in sources]
    header = {
        "version": VERSION,
        "network": network.sha256(),
        "dt": twin.settled.dt,
        "nodes": nodes,
        "edges": edges,
        "shapes": {name: list(shape) for name, shape in twin.graph.shapes.items()},
    }
    return write_atomic(path, pack(arrays, {KEY: json.dumps(header)}))


def load(path: Path, network: Network) -> Twin | None:
    """The float model of ``network``; None if the file is that of another network."""
    header, arrays = read_safetensors(
        path,
        what=f"float model {str(path)!r}",
        key=KEY,
        version=VERSION,
        writer="spikeloop import",
        framework="np",
    )
    try:
        if header["network"] != network.sha256():
            return None
        values: dict[str, dict[str, Any]] = {name: {} for name in header["nodes"]}
        for key, array in arrays.items():
            name, _, item = key.rpartition("/")
            values[name][item] = array
        nodes = {
            name: Node(name, row["kind"], values[name] | row["texts"], row["metadata"])
            for name, row in header["nodes"].items()
        }
        graph = Graph(nodes, [(str(s), str(t)) for s, t in header["edges"]])
        graph.shapes |= {name: tuple(shape) for name, shape in header["shapes"].items()}
        twin = Twin(graph, Settled(nodes, Semantics(dt=float(header["dt"])), "module"))
        _try(twin, network)
        return twin
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError):
        raise InputError(f"float model {str(path)!r} is damaged: import the net again") from None


def _try(twin: Twin, network: Network) -> None:
    """An error of some kind unless the float model can run as ``network``: two silent steps do."""
    keys, inputs = network.metadata["nodes"], {}
    for node in network.inputs:
        shape = twin.graph.shapes[keys[node.name]]
        if math.prod(shape) != node.size:
            raise ValueError("an input of another size")
        inputs[keys[node.name]] = torch.zeros(1, 2, *shape, dtype=torch.float64)
    after = twin.run(inputs).after
    for population in network.populations:
        key = keys.get(population.name)
        if key in after and after[key][0, 0].numel() != population.size:
            raise ValueError("a population of another size")
    after[keys[network.output]]


def column(
    twin: Twin,
    network: Network,
    inputs: dict[str, np.ndarray],
    labels: np.ndarray | None,
    readout: Readout | None = None,
) -> FloatColumn:
    """Run the floats and the integers on ``inputs``, uint8 [sample, step, line] by input.

    ``readout`` None: the network's own.
    """
    readout = readout or Readout.of(network)
    keys = network.metadata["nodes"]
    size = sum(p.size for p in network.populations) + sum(n.size for n in network.inputs)
    count = len(next(iter(inputs.values())))
    count = min(count, max(CHUNK, MOST // (network.steps * size)))
    parts: list[Drift] = []
    right = 0
    for at in range(0, count, CHUNK):
        part = {name: x[at : min(at + CHUNK, count)] for name, x in inputs.items()}
        shaped = {}
        for name, x in part.items():
            shape = twin.graph.shapes[keys[name]]
            shaped[keys[name]] = torch.as_tensor(x.astype(np.float64)).reshape(*x.shape[:2], *shape)
        floats = Floats(shaped, twin.run(shaped))
        parts.append(drift_of(network, floats, readout))
        if labels is not None:
            said = float_answers(network, floats, readout)
            right += int((said == labels[at : min(at + CHUNK, count)]).sum())
    return FloatColumn(_joined(parts), None if labels is None else right / count)


def _joined(parts: list[Drift]) -> Drift:
    """The sum of several drifts of one network."""
    samples = sum(part.samples for part in parts)
    rows = []
    for same in zip(*(part.populations for part in parts), strict=True):
        rate = sum(row.rate * part.samples for row, part in zip(same, parts, strict=True)) / samples
        rows.append(
            PopulationDrift(
                same[0].population,
                sum(row.spikes for row in same),
                sum(row.different for row in same),
                rate,
                sum(row.saturated for row in same),
            )
        )
    return Drift(tuple(rows), sum(part.answers for part in parts), samples)
