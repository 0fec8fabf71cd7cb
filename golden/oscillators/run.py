"""Runs of oscillators in torch: many samples of one net at once, each until it ends."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from spikeloop.pysim.oscillators.net import OnnNet, OnnState
from spikeloop.pysim.oscillators.trace import OnnTrace

__all__ = ["Run", "run", "run_samples"]


class Run(ABC):
    """Samples of a net. units: int64 ``[sample, field, oscillator]``, whole ``[sample, 4]``."""

    def __init__(self, net: OnnNet, start: Tensor, units: Tensor, whole: Tensor) -> None:
        self.net, self.start, self.units, self.whole = net, start, units, whole
        self.g = torch.from_numpy(net.couplings)
        self.alive = torch.ones(len(start), dtype=torch.bool)
        self.steps = torch.zeros(len(start), dtype=torch.int64)
        self.clips = torch.zeros_like(self.steps)
        self.crossings = torch.zeros_like(self.steps)

    @abstractmethod
    def advance(self) -> tuple[Tensor, Tensor, Tensor]:
        """The state after a step (units, whole), and where ``settle`` says that it is over."""

    def count(self, clips: Tensor, crossings: Tensor) -> None:
        """Adds the events of a step, of the samples that are under way."""
        self.clips += clips * self.alive
        self.crossings += crossings * self.alive

    def step(self) -> None:
        """One step of every sample that has not ended."""
        units, whole, settled = self.advance()
        self.units = torch.where(self.alive[:, None, None], units, self.units)
        self.whole = torch.where(self.alive[:, None], whole, self.whole)
        self.steps += self.alive
        over = self.whole[:, 0] >= self.net["steps_max"]
        if self.net["settle"]:
            over = over | settled
        self.alive = self.alive & ~over


@torch.inference_mode()
def run_samples(
    net: OnnNet,
    starts: np.ndarray,
    *,
    steps: int | None = None,
    states: Sequence[OnnState] | None = None,
    record: bool = True,
) -> list[OnnTrace]:
    """Samples of a net, each until it ends or for ``steps`` steps.

    starts: delays or slots, ``[sample, oscillator]``.
    states: what earlier steps left; by default the beginning.
    record: False keeps the last states only.
    """
    from spikeloop.golden.oscillators.phase import Phase
    from spikeloop.golden.oscillators.relaxation import Relaxation

    starts = np.stack([net.check_input(start) for start in np.asarray(starts)])
    states = [net.begin(start) for start in starts] if states is None else states
    kind = Relaxation if net.cell == "relaxation" else Phase
    walk = kind(
        net,
        torch.from_numpy(starts),
        torch.from_numpy(np.stack([state.units for state in states])),
        torch.from_numpy(np.stack([state.whole for state in states])),
    )
    units, whole = [], []
    while bool(walk.alive.any()) and (steps is None or int(walk.steps.max()) < steps):
        walk.step()
        if record:
            units.append(walk.units.to(torch.int32))
            whole.append(walk.whole.to(torch.int32))
    return [
        _trace(walk, sample, units, whole, states[sample].step) for sample in range(len(starts))
    ]


def run(
    net: OnnNet,
    start: np.ndarray,
    *,
    steps: int | None = None,
    state: OnnState | None = None,
    record: bool = True,
) -> OnnTrace:
    """One sample; arguments and result as of the engines of pysim.onn."""
    states = None if state is None else [state]
    starts = np.asarray(start)[None]
    return run_samples(net, starts, steps=steps, states=states, record=record)[0]


def _trace(
    walk: Run, sample: int, units: list[Tensor], whole: list[Tensor], first: int
) -> OnnTrace:
    done, net = int(walk.steps[sample]), walk.net
    shape = (0, len(net.units), net.size)
    return OnnTrace(
        first=first,
        units=(
            torch.stack([rows[sample] for rows in units[:done]]).numpy()
            if units
            else np.zeros(shape, np.int32)
        ),
        whole=(
            torch.stack([rows[sample] for rows in whole[:done]]).numpy()
            if whole
            else np.zeros((0, 4), np.int32)
        ),
        state=OnnState(walk.units[sample].numpy().copy(), walk.whole[sample].numpy().copy()),
        steps=done,
        clips=int(walk.clips[sample]),
        crossings=int(walk.crossings[sample]),
        ended=not bool(walk.alive[sample]),
    )
