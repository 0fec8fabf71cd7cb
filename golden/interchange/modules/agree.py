"""The import against the user's own forward: every spike, and every membrane the framework shows.

A graph that departs is not the net that was trained. It is refused with the first difference: step,
then order of the layers, then neuron.
"""

from dataclasses import dataclass

import numpy as np
import torch

from spikeloop.golden.interchange.graph.twin import TwinRun
from spikeloop.golden.interchange.modules.graph import StepGraph
from spikeloop.pysim.common.errors import InputError

__all__ = ["Agreement", "agree"]

CLOSE = 1e-6  # of a membrane, relative to its size or to 1


@dataclass(frozen=True)
class Agreement:
    """``spikes`` and ``membranes`` compared, all equal; ``rate`` of the spikes; ``silent`` neurons'
    names: populations without any spike, of which the comparison says little."""

    spikes: int
    membranes: int
    rate: float
    silent: tuple[str, ...]

    def __str__(self) -> str:
        said = (
            f"{self.spikes:,} spikes and {self.membranes:,} membranes compared, 0 different "
            f"(rate {self.rate:.3f})"
        )
        return said + (f"; silent: {', '.join(self.silent)}" if self.silent else "")


def agree(graph: StepGraph, twin: TwinRun) -> Agreement:
    """Compare ``twin`` with the calls of forward in the graph's chains, on the same input."""
    spikes = membranes = ones = 0
    silent: list[str] = []
    first: tuple[int, int, str] | None = None
    for place, (name, chain) in enumerate(graph.chains.items()):
        fired = torch.stack([call.results[0] for call in chain.calls], 1).double()
        pairs = [("spike", twin.spikes[name] != fired, twin.spikes[name], fired)]
        spikes, ones = spikes + fired.numel(), ones + int(fired.sum())
        if not fired.any():
            silent.append(chain.name)
        states = [call.state for call in chain.calls]
        if all(state is not None and state.shape == fired[:, 0].shape for state in states):
            expected = torch.stack([state for state in states if state is not None], 1).double()
            actual = (twin.before if graph.shown[name] == "before" else twin.after)[name]
            size = torch.maximum(expected.abs(), torch.ones(()).double())
            far = (actual - expected).abs() > CLOSE * size
            pairs.append(("membrane", far, actual, expected))
            membranes += expected.numel()
        for what, different, actual, expected in pairs:
            step = _first_step(different)
            if step is None or (first is not None and (step, place) >= first[:2]):
                continue
            sample, *at = (int(i) for i in different[:, step].nonzero()[0])
            neuron = int(np.ravel_multi_index(at, expected.shape[2:]))
            where = (sample, step, *at)
            sentence = (
                f"{what} of neuron {neuron} of {chain.name!r} in step {step} of sample {sample}: "
                f"{expected[where]:g} in forward, {actual[where]:g} in the import"
            )
            first = step, place, sentence
    if first:
        raise InputError(f"import must do what forward does, not differ in the {first[2]}")
    return Agreement(spikes, membranes, ones / spikes if spikes else 0.0, tuple(silent))


def _first_step(different: torch.Tensor) -> int | None:
    """The first step in which anything differs, of bool [sample, step, ...]."""
    steps = different.transpose(0, 1).flatten(1).any(1).nonzero()
    return int(steps[0]) if len(steps) else None
