"""A torch module of snnTorch, SpikingJelly, Norse or sinabs as an integer network.

    forward, run, recorded, unrolled (trace)  ->  one step as a graph (graph.py)
    the graph in float64 = the net's own forward, spike for spike (twin.py), else it is refused
    the graph in integers (golden/interchange/graph), and how far those are from the floats

Without data, the comparison runs on seeded random spikes of several rates.
"""

from dataclasses import asdict

import numpy as np
import torch
from torch import nn

from spikeloop.golden.interchange.common import Assumption, Imported
from spikeloop.golden.interchange.graph.build import Importer
from spikeloop.golden.interchange.graph.drift import random_spikes
from spikeloop.golden.interchange.graph.semantics import Semantics
from spikeloop.golden.interchange.graph.twin import TwinRun
from spikeloop.golden.interchange.modules.agree import Agreement, agree, joined
from spikeloop.golden.interchange.modules.drive import prepared, record, time_of
from spikeloop.golden.interchange.modules.graph import StepGraph, step_graph
from spikeloop.golden.interchange.modules.grey import Grey
from spikeloop.pysim.common.errors import InputError

__all__ = ["Grey", "first_shape", "import_module", "import_snntorch"]

GREY_SAMPLES = 16  # random ones
MOST_RECORDED = 1 << 21  # neurons of all steps and samples of one record of forward


def import_module(
    net: nn.Module,
    shape: tuple[int, ...] | None = None,
    *,
    steps: int = 32,
    bits: int = 8,
    name: str = "net",
    data: np.ndarray | None = None,
    grey: Grey | None = None,
    groups: int | None = None,
) -> Imported:
    """The integer network of ``net``.

    shape: of one input without batch and time (default: of a Linear layer that comes first).
    steps: of a sample; a net that runs its own steps on one input decides them itself.
    bits:  of a weight, 2..16.
    data:  spikes 0/1 [sample, step, ...] to compare on, or with ``grey`` values [sample, ...]
           (default: seeded random ones).
    grey:  the input is grey values, the same in every step; they reach the chip as bit planes.
    groups: classes of a population code: neurons 0..k-1 of the output are class 0, and so on.
    InputError names the layer, function or neuron that cannot be had and its line, or the first
    spike in which the import would differ from forward.
    """
    shape = tuple(shape or first_shape(net))
    copy = prepared(net)
    form, traced = time_of(copy, shape, steps)
    graph = step_graph(traced.chains, traced.result, traced.inputs, shape, binary=grey is None)
    if form == "static":
        steps = len(traced.chains[0].calls)
    if grey is not None:
        graph = grey.in_front_of(graph)
    importer = Importer(
        graph.nodes, graph.edges, Semantics(dt=1.0), steps, bits, name, source="forward"
    )
    x, spikes = _inputs(importer, shape, steps, data, grey)
    if form == "static" and grey is None:  # one input for all steps
        x = spikes = x[:, :1].expand(-1, steps, *shape)
    floats = importer.floats({"input": spikes})
    try:
        twin = _compared(copy, form, graph, x, floats.twin)
    except InputError as error:
        if data is not None:
            raise
        raise InputError(f"{error} (on random spikes: give data that it will meet)") from None
    made = importer.build(floats, groups)
    made.assumed[:0] = [
        Assumption("time", form, "as forward runs"),
        Assumption("float twin = forward", str(twin), "random spikes" if data is None else "data"),
    ]
    if grey is not None:
        made.network.metadata["grey"] = asdict(grey)
    return made


def first_shape(net: nn.Module) -> tuple[int, ...]:
    """The shape of one input where a Linear layer comes first; InputError where it is missing."""
    lazy = next((m for m in net.modules() if isinstance(m, nn.modules.lazy.LazyModuleMixin)), None)
    if lazy is not None:
        prepared(net)  # says which layer is lazy
    first = next(
        (m for m in net.modules() if isinstance(m, (nn.Linear, nn.Conv1d, nn.Conv2d))), None
    )
    if isinstance(first, nn.Linear):
        return (first.in_features,)
    what = "a net" if first is None else f"a net that begins with {type(first).__name__}"
    raise InputError(f"input shape of {what} is missing: give it (--shape C,H,W)")


def _inputs(
    importer: Importer,
    shape: tuple[int, ...],
    steps: int,
    data: np.ndarray | None,
    grey: Grey | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """What forward gets, and the spikes it stands for, float64 [sample, step, ...] both."""
    if grey is None:
        if data is None:
            x = random_spikes(importer.graph, steps)["input"]
        else:
            x = _spikes(data, shape, steps)
        return x, x
    if data is None:
        data = np.random.default_rng(0).uniform(grey.low, grey.high, (GREY_SAMPLES, *shape))
    data = np.asarray(data)
    if data.ndim < 2 or int(np.prod(data.shape[1:])) != int(np.prod(shape)):
        raise InputError(
            f"grey values to compare on must be of shape [sample, {int(np.prod(shape))}], not "
            f"{data.shape}"
        )
    _check_some(data)
    levels = grey.levels(data.reshape(len(data), -1))
    values = torch.as_tensor(grey.values(levels)).reshape(-1, 1, *shape)
    planes = torch.as_tensor(grey.planes(levels).astype(np.float64)).unsqueeze(1)
    every = (-1, steps)
    return values.expand(*every, *shape), planes.expand(*every, planes.shape[-1])


def _spikes(data: np.ndarray, shape: tuple[int, ...], steps: int) -> torch.Tensor:
    """Spikes float64 [sample, step, ...]."""
    data = np.asarray(data)
    size = int(np.prod(shape))
    if data.ndim < 3 or data.shape[1] != steps or int(np.prod(data.shape[2:])) != size:
        raise InputError(
            f"data to compare on must be of shape [sample, {steps}, {size}], not {data.shape}"
        )
    _check_some(data)
    if not np.isin(data, (0, 1)).all():
        raise InputError(
            "data to compare on must be spikes, 0 or 1, not other values: grey values are taken as "
            "bit planes (grey=Grey(4), --grey 4)"
        )
    return torch.as_tensor(data.reshape(len(data), steps, *shape).astype(np.float64))


def _check_some(data: np.ndarray) -> None:
    if not len(data):
        raise InputError("data to compare on must hold samples, not none")


def _compared(
    net: nn.Module, form: str, graph: StepGraph, x: torch.Tensor, twin: TwinRun
) -> Agreement:
    """The twin against forward on ``x``, a few samples at a time: a record keeps every tensor."""
    size = sum(spikes[0].numel() for spikes in twin.spikes.values())
    count = max(1, MOST_RECORDED // max(1, size))
    parts = []
    for begin in range(0, len(x), count):
        here = slice(begin, begin + count)
        _record_calls(net, form, graph, x[here])
        parts.append(agree(graph, twin.part(here), begin))
    return joined(parts)


def _record_calls(net: nn.Module, form: str, graph: StepGraph, x: torch.Tensor) -> None:
    """Run forward on ``x``; the graph's chains then hold its calls."""
    own = record(net, form, x, x.shape[1])
    by_name = {chain.name: chain.calls for chain in own.chains}
    for chain in graph.chains.values():
        chain.calls = by_name.get(chain.name, [])
    counts = {name: len(calls) for name, calls in by_name.items()}
    if counts != dict.fromkeys((chain.name for chain in graph.chains.values()), x.shape[1]):
        said = ", ".join(f"{name!r} {count} times" for name, count in counts.items())
        raise InputError(
            f"neurons must all run once a step and keep their membranes for {x.shape[1]} steps, "
            f"not {said}"
        )


import_snntorch = import_module  # its name in 0.1
