"""The import against the user's own forward: every spike, and every membrane the framework shows.

A graph that departs is not the net that was trained. It is refused with the first difference: step,
then order of the layers, then neuron.
"""

from dataclasses import dataclass

import numpy as np
import torch

from spikeloop.golden.interchange.graph.order import READOUT
from spikeloop.golden.interchange.graph.twin import TwinRun
from spikeloop.golden.interchange.modules.graph import StepGraph
from spikeloop.pysim.common.errors import InputError

__all__ = ["Agreement", "agree", "joined"]

TIE = 1e-9  # of a membrane to its threshold, relative
CLOSE = 1e-6  # of a membrane, relative to its size or to 1


@dataclass(frozen=True)
class Agreement:
    """``spikes`` and ``membranes`` compared, all equal; ``rate`` of the spikes; ``silent`` neurons'
    names: populations without any spike, of which the comparison says little; ``ties``: samples in
    which a membrane met its threshold within :data:`TIE`, so that rounding decided the spike, and
    which were compared up to there."""

    spikes: int
    membranes: int
    rate: float
    silent: tuple[str, ...]
    ties: int = 0

    def __str__(self) -> str:
        said = (
            f"{self.spikes:,} spikes and {self.membranes:,} membranes compared, 0 different "
            f"(rate {self.rate:.3f})"
        )
        said += f"; {self.ties} samples up to a tie with the threshold" if self.ties else ""
        return said + (f"; silent: {', '.join(self.silent)}" if self.silent else "")


def joined(parts: list[Agreement]) -> Agreement:
    """What several groups of samples say together."""
    spikes = sum(part.spikes for part in parts)
    ones = sum(part.rate * part.spikes for part in parts)
    silent = [name for name in parts[0].silent if all(name in part.silent for part in parts)]
    membranes, ties = sum(part.membranes for part in parts), sum(part.ties for part in parts)
    return Agreement(spikes, membranes, ones / spikes if spikes else 0.0, tuple(silent), ties)


def agree(graph: StepGraph, twin: TwinRun, begin: int = 0) -> Agreement:
    """Compare ``twin`` with the calls of forward in the graph's chains, on the same input.

    begin: the number of the first sample, for the message.
    """
    spikes = membranes = ones = 0
    silent: list[str] = []
    first: tuple[int, int, str] | None = None
    counted = _until_ties(graph, twin)
    for place, (name, chain) in enumerate(graph.chains.items()):
        fired = torch.stack([call.results[0] for call in chain.calls], 1).double()
        pairs = [("spike", twin.spikes[name] != fired, twin.spikes[name], fired)]
        if name == graph.readout:
            pairs.clear()
        if graph.nodes[name].kind in READOUT:
            pairs, fired = [], torch.zeros(0)
        spikes, ones = spikes + fired.numel(), ones + int(fired.sum())
        if fired.numel() and not fired.any():
            silent.append(chain.name)
        states = [call.state for call in chain.calls]
        if graph.nodes[name].kind in READOUT:
            states = [call.results[0] for call in chain.calls]
        shape = chain.calls[0].results[0].shape
        if all(state is not None and state.shape == shape for state in states):
            expected = torch.stack([state for state in states if state is not None], 1).double()
            actual = (twin.before if graph.shown[name] == "before" else twin.after)[name]
            size = torch.maximum(expected.abs(), torch.ones(()).double())
            far = (actual - expected).abs() > CLOSE * size
            pairs.append(("membrane", far, actual, expected))
            membranes += expected.numel()
        for what, different, actual, expected in pairs:
            different = different & counted.reshape(*counted.shape, *[1] * (expected.dim() - 2))
            step = _first_step(different)
            if step is None or (first is not None and (step, place) >= first[:2]):
                continue
            sample, *at = (int(i) for i in different[:, step].nonzero()[0])
            neuron = int(np.ravel_multi_index(at, expected.shape[2:]))
            where = (sample, step, *at)
            sentence = (
                f"{what} of neuron {neuron} of {chain.name!r} in step {step} of sample "
                f"{begin + sample}: {expected[where]:g} in forward, {actual[where]:g} in the import"
            )
            first = step, place, sentence
    if first:
        delays = [getattr(chain.module, "reset_delay", True) for chain in graph.chains.values()]
        why = "" if all(delays) else "; without reset_delay snnTorch skips some resets"
        raise InputError(f"import must do what forward does, not differ in the {first[2]}{why}")
    ties = int((~counted[:, -1]).sum())
    return Agreement(spikes, membranes, ones / spikes if spikes else 0.0, tuple(silent), ties)


def _until_ties(graph: StepGraph, twin: TwinRun) -> torch.Tensor:
    """Bool [sample, step]: False from the first step in which the two differ in a spike whose
    membrane equals the threshold but for rounding."""
    tied = None
    for name, chain in graph.chains.items():
        if name == graph.readout or graph.nodes[name].kind in READOUT:
            continue
        fired = torch.stack([call.results[0] for call in chain.calls], 1).double()
        theta = torch.as_tensor(np.asarray(graph.nodes[name].values["v_threshold"], np.float64))
        if name in twin.raised:
            theta = theta + twin.raised[name]
        near = (twin.before[name] - theta).abs() <= TIE * theta.abs()
        here = (near & (twin.spikes[name] != fired)).flatten(2).any(2)
        tied = here if tied is None else tied | here
    if tied is None:
        return torch.ones(len(next(iter(twin.spikes.values()))), 1, dtype=torch.bool)
    return tied.cumsum(1) == 0


def _first_step(different: torch.Tensor) -> int | None:
    """The first step in which anything differs, of bool [sample, step, ...]."""
    steps = different.transpose(0, 1).flatten(1).any(1).nonzero()
    return int(steps[0]) if len(steps) else None
