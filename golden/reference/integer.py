"""The reference: the integer network, step by step, in torch int64.

It is written from docs/arithmetic.md alone. pysim contributes the description of the network and no
arithmetic.

For each population and step, over a batch of samples: sum the weights of the arriving spikes
(golden/reference/synapses.py), add the current of a PIM layer (golden/reference/pim.py), and step
the neurons (golden/reference/neuron.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields

import numpy as np
import torch
from torch import Tensor

from spikeloop.golden.reference import pim
from spikeloop.golden.reference.neuron import Neurons
from spikeloop.golden.reference.sources import hear
from spikeloop.golden.reference.synapses import Synapses
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.network.readout import Readout
from spikeloop.pysim.pim.source import PimSource

__all__ = ["IntegerTrace", "predict", "right", "run", "run_chunks"]


@dataclass(frozen=True, eq=False)
class IntegerTrace:
    """What every population did in its own steps.

    spikes[name]:      uint8 0/1 ``[sample, step, size]``.
    membranes[name]:   int32 ``[sample, step, size]``, v' at the end of the step; empty if not
                       recorded.
    saturations[name]: int64 ``[sample, step]``, number of neurons in which a clip acted.
    currents[name]:    int32 ``[sample, frame, size]``, the currents of a PIM layer into its
                       target; one frame for all steps, or one frame a step.
    clips:             n_sat and n_clip of that layer (docs/pim.md), int64 ``[sample, frame]``.
    synaptic[name]:    int32 ``[sample, step, size]``, y' of a network with current_bits.
    adaptations[name]: int32 ``[sample, step, size]``, a' of a network with adaptation_bits.
                       Both are recorded where membranes are.
    ends[name]:        int32 ``[sample, value]``, the last state of the source that feeds an input:
                       of oscillators their units, row after row, then the four values of the net;
                       of dendritic neurons DendriticState.words.
    counts:            counters of the source, int64 ``[sample, run]``.
    """

    spikes: dict[str, np.ndarray]
    membranes: dict[str, np.ndarray] = field(default_factory=dict)
    saturations: dict[str, np.ndarray] = field(default_factory=dict)
    currents: dict[str, np.ndarray] = field(default_factory=dict)
    clips: dict[str, np.ndarray] = field(default_factory=dict)
    synaptic: dict[str, np.ndarray] = field(default_factory=dict)
    adaptations: dict[str, np.ndarray] = field(default_factory=dict)
    ends: dict[str, np.ndarray] = field(default_factory=dict)
    counts: dict[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def concatenate(cls, traces: list["IntegerTrace"]) -> "IntegerTrace":
        """Join along the sample axis."""
        return cls(
            *(
                {
                    name: np.concatenate([getattr(t, part)[name] for t in traces])
                    for name in getattr(traces[0], part)
                }
                for part in (f.name for f in fields(cls))
            )
        )


class Prepared:
    """The tensors of a network, made once for several runs, which may be at once.

    order:     its populations, sources first
    synapses:  the edges into each population
    """

    def __init__(self, network: Network) -> None:
        self.order = [Neurons(p, network.widths) for p in network.order()]
        self.synapses = {
            p.name: [Synapses(e) for e in network.edges if e.target == p.name]
            for p in network.populations
        }


def run(
    network: Network,
    inputs: dict[str, np.ndarray],
    *,
    batch: int = 500,
    membranes: bool = True,
    samples: int = 1,
    prepared: Prepared | None = None,
) -> IntegerTrace:
    """Run all samples from the initial state.

    inputs:    for every input its spikes, uint8 or bool 0/1 ``[sample, step, size]`` for all
               network.steps; for a PIM layer its pixels, uint8 ``[sample, pixel]``; for a
               source the starts, uint16, under its input's name.
    batch:     samples worked on at once.
    membranes: record them, and the other states of the neurons.
    samples:   how many to run, for a network that has neither inputs nor pixels.
    prepared:  of this network, by a caller who runs it often. None: made for this run.
    InputError for inputs that are missing, unknown, of a wrong shape or not binary, and for pixels
    or starts out of range.
    """
    return IntegerTrace.concatenate(
        list(
            run_chunks(
                network,
                inputs,
                batch=batch,
                membranes=membranes,
                samples=samples,
                prepared=prepared,
            )
        )
    )


def run_chunks(
    network: Network,
    inputs: dict[str, np.ndarray],
    *,
    batch: int = 500,
    membranes: bool = True,
    samples: int = 1,
    prepared: Prepared | None = None,
) -> Iterator[IntegerTrace]:
    """Like :func:`run`, but in chunks of ``batch`` samples, so memory holds only one of them.

    There is at least one chunk.
    """
    samples = _check(network, inputs, samples)
    if batch < 1:
        raise InputError(f"batch must be at least 1, not {batch}")
    prepared = prepared or Prepared(network)
    for at in range(0, max(samples, 1), batch):
        part = {name: array[at : at + batch] for name, array in inputs.items()}
        count = min(batch, samples - at)
        yield _run_batch(network, prepared, part, count, membranes)


@torch.inference_mode()
def _run_batch(
    network: Network, prepared: Prepared, inputs: dict[str, np.ndarray], count: int, membranes: bool
) -> IntegerTrace:
    inputs, order, synapses = dict(inputs), prepared.order, prepared.synapses
    drive, heard = None, None
    if network.source:
        name = network.source.input
        heard = hear(network.source, inputs[name], network.steps)
        inputs[name] = heard.lines
    if network.pim:
        drive = _drive(network.pim, inputs.pop(network.pim.name), network.steps)
    # emitted[name][k]: what an input or a population sent at its step k
    emitted = {
        name: torch.from_numpy(np.ascontiguousarray(array.transpose(1, 0, 2), np.uint8))
        for name, array in inputs.items()
    }
    for neurons in order:
        emitted[neurons.name] = torch.zeros(network.steps, count, neurons.size, dtype=torch.uint8)
    recorded = _records(network, order, count) if membranes else {}
    clipped = {n.name: torch.empty(network.steps, count, dtype=torch.int64) for n in order}
    states = {n.name: n.state(count) for n in order}
    for k in range(network.steps):
        for neurons in order:
            name = neurons.name
            total = torch.zeros(count, neurons.size, dtype=torch.int64)
            for edge in synapses[name]:
                if k >= edge.delay:
                    total += edge.sum(emitted[edge.source][k - edge.delay])
            if drive and name == drive.target:
                total += torch.from_numpy(drive.currents[:, min(k, drive.currents.shape[1] - 1)])
            states[name], spikes, saturated = neurons.step(k, states[name], total)
            emitted[name][k] = spikes
            clipped[name][k] = saturated.sum(1)
            for letter, arrays in recorded.items():
                value = getattr(states[name], letter)
                if value is not None:
                    arrays[name][k] = value
    names = [p.name for p in network.populations]
    fired, saturations, potentials, synaptic, adaptations = (
        {n: _sample_first(part[n]) for n in names if n in part}
        for part in (emitted, clipped, *(recorded.get(letter, {}) for letter in "vya"))
    )
    return IntegerTrace(
        fired,
        potentials,
        saturations,
        {drive.target: drive.currents.astype(np.int32)} if drive else {},
        drive.clips if drive else {},
        synaptic,
        adaptations,
        {network.source.input: heard.values} if network.source and heard else {},
        heard.counts if heard else {},
    )


def _records(network: Network, order: list[Neurons], count: int) -> dict[str, dict[str, Tensor]]:
    """Room for the states that the network has: by letter and name, ``[step, sample, size]``.

    A population without a state of the network has 0 in every step.
    """
    letters = [letter for letter, bits in zip("vya", network.widths, strict=True) if bits]
    return {
        letter: {
            n.name: torch.zeros(network.steps, count, n.size, dtype=torch.int32) for n in order
        }
        for letter in letters
    }


@dataclass(frozen=True, eq=False)
class _Drive:
    """Currents int64 ``[sample, frame, neuron]`` into ``target``; ``clips`` as in a trace."""

    target: str
    currents: np.ndarray
    clips: dict[str, np.ndarray]


def _drive(source: PimSource, pixels: np.ndarray, steps: int) -> _Drive:
    """The currents of the images: with noise one frame a step, drawn from stream k at step k.

    Without noise all steps are alike, and stream 0 serves for all.
    """
    streams = range(source.head.frames(steps)) if source.layer.sigma else (0,)
    frames = [pim.run(source.layer, pixels, np.full(len(pixels), k), codes=False) for k in streams]
    frames *= source.head.frames(steps) // len(frames)
    return _Drive(
        source.target,
        np.stack([f.currents.reshape(len(pixels), -1)[:, source.currents] for f in frames], 1),
        {
            "n_sat": np.stack([f.saturated for f in frames], 1),
            "n_clip": np.stack([f.clipped for f in frames], 1),
        },
    )


def right(
    network: Network, inputs: dict[str, np.ndarray], labels: np.ndarray, *, batch: int = 500
) -> int:
    """How many samples are read out as their label, int64 ``[sample]``.

    ``inputs`` and ``batch`` are those of :func:`run_chunks`.
    """
    membranes = Readout.of(network).by_membrane
    traces = run_chunks(network, inputs, batch=batch, membranes=membranes)
    return int((np.concatenate([predict(network, trace) for trace in traces]) == labels).sum())


def predict(network: Network, trace: IntegerTrace, readout: Readout | None = None) -> np.ndarray:
    """The class of each sample, int64 ``[sample]``; a tie takes the lowest.

    ``readout`` None: the network's own. InputError for a trace without the membranes that the
    read-out needs.
    """
    readout = readout or Readout.of(network)
    if not readout.by_membrane:
        return readout.answers(trace.spikes[network.output])
    if network.output not in trace.membranes:
        raise InputError(
            f"trace of a net read by membrane must hold the membranes of {network.output!r}, "
            f"not {sorted(trace.membranes)}"
        )
    return readout.answers(trace.membranes[network.output])


def _sample_first(x: Tensor) -> np.ndarray:
    return np.ascontiguousarray(x.transpose(0, 1).numpy())


def _check(network: Network, inputs: dict[str, np.ndarray], silent: int) -> int:
    """Number of samples, ``silent`` without inputs. InputError for inputs that do not fit."""
    names = [node.name for node in network.inputs] + ([network.pim.name] if network.pim else [])
    if sorted(inputs) != sorted(names):
        raise InputError(
            f"stimulus must hold exactly the inputs {', '.join(names) or 'none'}, "
            f"not {', '.join(inputs) or 'none'}"
        )
    samples = len(inputs[names[0]]) if names else silent
    for node in network.inputs:
        array = inputs[node.name]
        if network.source and node.name == network.source.input:
            network.source.head.check(array, samples)
            continue
        want = (samples, network.steps, node.size)
        if array.shape != want:
            raise InputError(
                f"stimulus of input {node.name!r} must be of shape {want} (sample, step, line), "
                f"not {array.shape}"
            )
        if array.dtype not in (np.uint8, np.bool_):
            raise InputError(f"stimulus of input {node.name!r} must be uint8, not {array.dtype}")
        if array.size and array.max() > 1:
            raise InputError(f"stimulus of input {node.name!r} must be 0 or 1, not {array.max()}")
    if network.pim:
        array, size = inputs[network.pim.name], (samples, network.pim.head.pixels)
        if array.dtype != np.uint8 or array.shape != size:
            raise InputError(
                f"pixels of {network.pim.name!r} must be uint8 of shape {size} (sample, pixel), "
                f"not {array.dtype} of {array.shape}"
            )
    return samples
