"""How a net wants its time: a loop inside forward, or one call a step.

    inside   forward takes [step, sample, ...] or [sample, step, ...] and picks the steps itself
    static   forward takes one sample and runs its own steps on it, the same input in each
    step     forward is one step; the caller keeps calling, the neurons keep their state

The first form that runs and whose trace agrees with it is taken.
"""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from spikeloop.golden.interchange.modules.graph import Chain, chains_of
from spikeloop.golden.interchange.modules.layers import is_layer
from spikeloop.golden.interchange.modules.neurons import is_neuron, one_step, reset, state_of
from spikeloop.golden.interchange.modules.trace import Op, Recorder, Value, values_in
from spikeloop.pysim.common.errors import InputError

__all__ = ["Run", "prepared", "record", "time_of"]

FORMS = ("steps first", "samples first", "static", "step")
STEPS, SAMPLES = 4, 3  # of the run that is traced; three and more steps show a lasting pattern


@dataclass(eq=False)
class Run:
    """A recorded run: the recorder, the input values with their step, the populations."""

    recorder: Recorder
    inputs: dict[Value, int]
    chains: list[Chain]


def prepared(net: nn.Module) -> nn.Module:
    """A copy in float64 and in evaluation mode, that takes one step at a time where it can tell."""
    for name, parameter in net.named_parameters():
        if isinstance(parameter, nn.parameter.UninitializedParameter):
            raise InputError(
                f"layer {name.rpartition('.')[0] or name!r} is lazy and never ran: call the net "
                "once on one input before it is imported"
            )
        if parameter.is_floating_point() and not torch.isfinite(parameter).all():
            raise InputError(f"values of {name!r} must be finite, not NaN or infinite")
    try:
        net = copy.deepcopy(net, _detached(net)).double().eval()
    except Exception as error:
        reason = str(error).splitlines()[0][:120]
        raise InputError(f"net must be one that can be copied, not end with: {reason}") from None
    for module in net.modules():
        one_step(module)
    return net


def _detached(net: nn.Module) -> dict[int, Any]:
    """Copies of the tensors that a net keeps from its last training step: they cannot be copied as
    they are, because they hang on the graph of the gradient."""
    kept = [v for m in net.modules() for v in (*vars(m).values(), *m._buffers.values())]
    return {
        id(v): v.detach().clone() for v in kept if isinstance(v, torch.Tensor) and not v.is_leaf
    }


def record(net: nn.Module, form: str, x: torch.Tensor, steps: int) -> Run:
    """Run ``net`` on ``x`` [sample, step, ...] in one of :data:`FORMS`."""
    reset(net)
    recorder = Recorder(net, lambda module: is_neuron(module) or is_layer(module), state_of)
    if form == "step":
        for step in range(steps):
            recorder.run(x[:, step])
        firsts = [op for op in recorder.ops if op.kind == "input"]
        inputs = {Value(op): step for step, op in enumerate(firsts)}
    elif form == "static":
        recorder.run(x[:, 0])
        inputs = {Value(recorder.ops[0]): -1}
    else:
        recorder.run(x.transpose(0, 1) if form == "steps first" else x)
        inputs = _picked(recorder.ops, 0 if form == "steps first" else 1, steps)
    return Run(recorder, inputs, chains_of(recorder))


def time_of(net: nn.Module, shape: tuple[int, ...]) -> tuple[str, Run]:
    """The form of a net, and its run on seeded spikes; InputError if no form runs."""
    generator = torch.Generator().manual_seed(1)
    x = (torch.rand(SAMPLES, STEPS, *shape, generator=generator) < 0.4).double()
    reasons: dict[str, str] = {}
    for form in FORMS:
        try:
            run = record(net, form, x, STEPS)
        except InputError as error:
            reasons[form] = str(error)
            continue
        except Exception as error:
            reasons[form] = " ".join(str(error).split())[:160] or type(error).__name__
            continue
        lengths = {len(chain.calls) for chain in run.chains}
        if not run.chains:
            raise InputError(
                "net must hold neurons of snnTorch, SpikingJelly, Norse or sinabs that forward "
                "runs, not none"
            )
        if form in ("steps first", "samples first") and set(run.inputs.values()) != set(
            range(STEPS)
        ):
            reasons[form] = "forward does not pick its steps from that axis"
            continue
        if form == "static" and max(lengths) == 1:
            continue
        return form, run
    said = reasons.get("step") or reasons.get("steps first") or "no form runs"
    raise InputError(f"forward must run on an input of shape {tuple(shape)}, not end with: {said}")


def _picked(ops: list[Op], axis: int, steps: int) -> dict[Value, int]:
    """The values that forward picks from the axis of time, with their step."""
    whole = Value(ops[0])
    found: dict[Value, int] = {}
    for op in ops:
        if op.kind != "function" or whole not in list(values_in(op.args)):
            continue
        if op.name == "__getitem__":
            step = _index(op.args[1], axis)
            if step is not None:
                found[Value(op)] = step % steps
        elif op.name == "select" and _position(op) % whole.tensor.dim() == axis:
            found[Value(op)] = int(op.args[2]) % steps
        elif op.name == "unbind" and _position(op) == axis and len(op.results) == steps:
            found |= {Value(op, step): step for step in range(steps)}
    return found


def _position(op: Op) -> int:
    return int(op.args[1] if len(op.args) > 1 else op.kwargs.get("dim", 0))


def _index(index: Any, axis: int) -> int | None:
    """The step of ``x[t]``, ``x[t, ...]`` or ``x[:, t]``, or None."""
    parts = index if isinstance(index, tuple) else (index,)
    if len(parts) <= axis or not isinstance(parts[axis], int) or isinstance(parts[axis], bool):
        return None
    rest = [part for k, part in enumerate(parts) if k != axis]
    plain = all(part is Ellipsis or part == slice(None) for part in rest)
    return parts[axis] if plain else None
