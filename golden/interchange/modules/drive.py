"""How a net wants its time: a loop inside forward, or one call a step.

    inside   forward takes [step, sample, ...] or [sample, step, ...] and does all steps itself
    static   forward takes one sample and runs its own steps on it, the same input in each
    step     forward is one step; the caller keeps calling, the neurons keep their state
    state    the same, but forward returns its state and is given it at the next call

The first form that runs and whose trace agrees with it is taken.
"""

import copy
import inspect
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from spikeloop.golden.interchange.modules.graph import Chain, chains_of
from spikeloop.golden.interchange.modules.layers import is_layer
from spikeloop.golden.interchange.neurons.read import neuron_of
from spikeloop.golden.interchange.neurons.state import is_neuron, one_step, reset, state_of
from spikeloop.golden.interchange.trace.record import Op, OtherForm, Recorder, Value, values_in
from spikeloop.golden.interchange.trace.unroll import Steps, unrolled
from spikeloop.pysim.common.errors import InputError

__all__ = ["Run", "prepared", "record", "time_of"]

FORMS = ("steps first", "samples first", "static", "step", "step with state")
STEPS, SAMPLES = 4, 3  # of the run that is traced; three and more steps show a lasting pattern


@dataclass(eq=False)
class Run:
    """A recorded run: what forward returned, the input values with their step, the populations."""

    result: Any
    inputs: dict[Value, int]
    chains: list[Chain]


def prepared(net: nn.Module) -> nn.Module:
    """A copy in float64 and in evaluation mode, that takes one step at a time where it can tell."""
    net = getattr(net, "_orig_mod", net)  # of torch.compile
    for name, parameter in (*net.named_parameters(), *net.named_buffers()):
        if isinstance(parameter, nn.parameter.UninitializedParameter):
            raise InputError(
                f"layer {name.rpartition('.')[0] or name!r} is lazy and never ran: call the net "
                "once on one input before it is imported"
            )
        if parameter.is_floating_point() and not torch.isfinite(parameter).all():
            raise InputError(f"values of {name!r} must be finite, not NaN or infinite")
    try:
        original, net = net, copy.deepcopy(net, _detached(net))
        _alike(original, net)
        sums = _variances(net)
        net = net.double().eval()
    except Exception as error:
        _check_neurons(net)
        reason = str(error).splitlines()[0][:120]
        raise InputError(f"net must be one that can be copied, not end with: {reason}") from None
    for module, total in sums.items():
        module.running_var = total.double() - module.eps
    for module in net.modules():
        one_step(module)
    return net


def _alike(net: nn.Module, copied: nn.Module) -> None:
    """Give the copies of neurons the plain attributes that they lost: sinabs' own copying drops
    ``norm_input`` of ALIF."""
    for one, other in zip(net.modules(), copied.modules(), strict=True):
        if is_neuron(one):
            for name, value in vars(one).items():
                if isinstance(value, (bool, int, float, str)):
                    setattr(other, name, value)


def _variances(net: nn.Module) -> dict[Any, torch.Tensor]:
    """Variance plus epsilon of each batch norm, in the net's own number type.

    In 32 bits the sum is often a short number, and a membrane then meets its threshold exactly. The
    copy in 64 bits must do so too.
    """
    norms = [m for m in net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    return {m: m.running_var + m.eps for m in norms if m.running_var is not None}


def _check_neurons(net: nn.Module) -> None:
    """InputError for neurons that cannot be had: they may be why something else failed."""
    for name, module in net.named_modules():
        if is_neuron(module):
            neuron_of(name, module)


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
    recorder = Recorder(
        net, lambda module: is_neuron(module) or is_layer(module), is_neuron, state_of
    )
    whole: dict[Value, Steps] = {}
    if form in ("step", "step with state"):
        state: tuple[Any, ...] = ()
        for step in range(steps):
            out = recorder.run(x[:, step], *state)
            state = _state(net, out) if form == "step with state" else ()
        firsts = [op for op in recorder.ops if op.kind == "input"]
        inputs = {Value(op): step for step, op in enumerate(firsts)}
    elif form == "static":
        recorder.run(x[:, 0])
        inputs = {Value(recorder.ops[0]): -1}
    else:
        first = form == "steps first"
        recorder.run(x.transpose(0, 1) if first else x)
        parts = [Value(Op("input", "input", results=(x[:, step],))) for step in range(steps)]
        whole[Value(recorder.ops[0])] = Steps(tuple(parts), "tb" if first else "bt")
        inputs = {part: step for step, part in enumerate(parts)}
    plain = unrolled(recorder.ops, recorder.result, whole, len(x), is_neuron)
    return Run(plain.result, inputs, chains_of(plain.ops))


def _state(net: nn.Module, out: Any) -> tuple[Any, ...]:
    """What forward takes behind its input, of what it returned behind its answer."""
    if not isinstance(out, tuple) or len(out) < 2:
        raise OtherForm("forward must return its state behind its answer, or loop over the steps")
    takes, state = len(inspect.signature(net.forward).parameters) - 1, out[1:]
    if len(state) == 1 and isinstance(state[0], (list, tuple)) and takes == len(state[0]):
        return tuple(state[0])
    return state if takes == len(state) else (state,)


def time_of(net: nn.Module, shape: tuple[int, ...], steps: int) -> tuple[str, Run]:
    """The form of a net, and its run on seeded spikes; InputError if no form runs.

    A few steps are tried first, then ``steps``, as forward may count its steps itself.
    """
    generator = torch.Generator().manual_seed(1)
    refusals: list[InputError] = []
    errors: dict[str, str] = {}
    for count in dict.fromkeys((STEPS, steps)):
        x = (torch.rand(SAMPLES, count, *shape, generator=generator) < 0.4).double()
        for form in FORMS:
            try:
                run = record(net, form, x, count)
                _check_steps(form, run, count)
            except InputError as error:
                refusals.append(error)
            except Exception as error:
                errors[form] = " ".join(str(error).split())[:160] or type(error).__name__
            else:
                return form, run
    for refusal in refusals:
        if not isinstance(refusal, OtherForm):
            raise refusal
    if "step" not in errors and refusals:
        raise refusals[-1]
    _check_neurons(net)
    said = errors.get("step") or errors.get("steps first") or "no form runs"
    raise InputError(f"forward must run on an input of shape {tuple(shape)}, not end with: {said}")


def _check_steps(form: str, run: Run, count: int) -> None:
    """InputError unless each population takes the steps that the form has."""
    if not run.chains:
        raise InputError(
            "net must hold neurons of snnTorch, SpikingJelly, Norse or sinabs that forward "
            "runs, not none"
        )
    lengths = {len(chain.calls) for chain in run.chains}
    twice = [chain.calls for chain in run.chains if len(chain.calls) == 2]
    if form == "static" and (max(lengths) == 1 or any(not _same_layer(*calls) for calls in twice)):
        raise OtherForm("forward must run its own steps on one input, not one step")
    if form in ("step", "step with state") and max(lengths) == 1 < count:
        raise OtherForm(
            "neurons must keep their membranes from one call of forward to the next: let forward "
            "loop over the steps, or return its state and take it"
        )
    for chain in run.chains:
        if form == "step" and len(chain.calls) == 2 * count:
            raise InputError(
                f"neurons {chain.name!r} must run once a step, not twice with one membrane: give "
                "each layer neurons of its own"
            )
    if form in ("steps first", "samples first") and len(lengths) == 1 and lengths != {count}:
        raise OtherForm(f"forward must take {count} steps of an input, not {max(lengths)}")


def _same_layer(one: Op, other: Op) -> bool:
    """Whether two calls of a neuron are fed by the same operation."""
    fed = [next(values_in(op.args), None) for op in (one, other)]
    calls = [None if value is None else value.op.call or value.op.name for value in fed]
    return calls[0] is calls[1] or calls[0] == calls[1]
