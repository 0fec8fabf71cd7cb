"""The witness on a Network of ours: the network in its own words, and what it says as arrays."""

from typing import Any, NamedTuple

import numpy as np

from spikeloop.pysim.network.elements import LeakRounding, LowBound, Population, Reset, StateUse
from spikeloop.pysim.network.graph import Network
from tests.witness import model

__all__ = ["Seen", "witness"]

PAGED = ("bias", "v_th", "v_sub", "k0")
PLAIN = (
    "rectify",
    "fire",
    "v_reset",
    "v_low",
    "v_low_reset",
    "v_low_add",
    "refractory",
    "hold",
    "v_init",
)


class Seen(NamedTuple):
    """What the witness says of one population."""

    spikes: np.ndarray
    """0 or 1, shape (samples, steps, neurons)."""
    membranes: np.ndarray
    """Shape (samples, steps, neurons)."""
    saturations: np.ndarray
    """Neurons in which a clip changed a value, shape (samples, steps)."""
    synaptic: np.ndarray
    """Currents y', shape (samples, steps, neurons); all 0 without the state."""
    adaptations: np.ndarray
    """Adaptations a', shape (samples, steps, neurons); all 0 without the state."""


def witness(network: Network, inputs: dict[str, np.ndarray]) -> dict[str, Seen]:
    """Run all samples. ``inputs``: 0 or 1 by input name, shape (samples, steps, lines)."""
    graph = in_its_words(network)
    samples = max(len(array) for array in inputs.values())
    runs = [
        model.run(graph, {name: array[sample].tolist() for name, array in inputs.items()})
        for sample in range(samples)
    ]
    return {
        p.name: Seen(*(np.array([run[p.name][field] for run in runs]) for field in Seen._fields))
        for p in network.populations
    }


def in_its_words(network: Network) -> dict[str, Any]:
    """The network as plain Python: numbers, lists and names of modes."""
    return {
        "P": network.membrane_bits,
        "Q": network.current_bits,
        "R": network.adaptation_bits,
        "steps": network.steps,
        "inputs": {node.name: node.size for node in network.inputs},
        "populations": {
            p.name: {
                "size": p.size,
                "pages": p.pages,
                "page_shift": p.page_shift,
                "neurons": [_neuron(p, i) for i in range(p.size)],
            }
            for p in network.populations
        },
        "edges": [
            {
                "source": e.source,
                "target": e.target,
                "delay": e.delay,
                "weights": e.weights.tolist(),
            }
            for e in network.edges
        ],
    }


def _neuron(p: Population, i: int) -> dict[str, Any]:
    return {
        **{key: getattr(p, key)[:, i].tolist() for key in PAGED},
        "leak_sign": p.leak_sign[:, :, i].tolist(),
        "leak_shift": p.leak_shift[:, :, i].tolist(),
        "rounding": LeakRounding(p.rounding[i]).name.lower(),
        "reset": Reset(p.reset[i]).name.lower(),
        "low": LowBound(p.low[i]).name.lower(),
        **{key: getattr(p, key)[i].item() for key in PLAIN},
        **_second(p, i, "current", ("gain", "fraction")),
        **_second(p, i, "adaptation", ("adaptation_step", "adaptation_scale", "adaptation_reset")),
    }


def _second(p: Population, i: int, state: str, plain: tuple[str, ...]) -> dict[str, Any]:
    """The entries of neuron i's current or adaptation; only its mode if it has none."""
    mode = StateUse(getattr(p, state)[i])
    if mode is StateUse.NONE:
        return {state: "none"}
    return {
        state: mode.name.lower(),
        f"{state}_k0": getattr(p, f"{state}_k0")[:, i].tolist(),
        f"{state}_sign": getattr(p, f"{state}_sign")[:, :, i].tolist(),
        f"{state}_shift": getattr(p, f"{state}_shift")[:, :, i].tolist(),
        f"{state}_rounding": LeakRounding(getattr(p, f"{state}_rounding")[i]).name.lower(),
        **{key: getattr(p, key)[i].item() for key in plain},
    }
