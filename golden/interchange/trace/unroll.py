"""A recorded run with its time taken apart: every operation is that of one step.

Forward may stack its steps, fold them into the batch, run a layer on all of them at once, and take
them apart again. Moves of values are followed element by element (moves.py). An operation on all
steps becomes one operation for each step. All steps of a value have one of these shapes:

    tb  [step, sample, ...]     t*b  [step * sample, ...]
    bt  [sample, step, ...]     b*t  [sample * step, ...]

A value that has samples and steps apart no longer, such as a sum over time, stays as it is.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from spikeloop.golden.interchange.trace.moves import Elements, Pattern, moved, moves, passes
from spikeloop.golden.interchange.trace.record import Op, OtherForm, Value, values_in

__all__ = ["Steps", "Unrolled", "unrolled"]

AXIS = {"tb": 0, "bt": 1}
"""Axis of the steps, where they have one of their own."""


@dataclass(frozen=True)
class Unrolled:
    """``ops`` of one step each, in order. ``result`` is what forward returned: a tuple of values,
    one for each step, stands in place of a value that holds all of them."""

    ops: list[Op]
    result: Any


@dataclass(frozen=True)
class Steps:
    """A value of all steps: its ``parts``, and how they lie in it."""

    parts: tuple[Value, ...]
    layout: str


def unrolled(
    ops: list[Op],
    result: Any,
    whole: dict[Value, Steps],
    batch: int,
    is_neuron: Callable[[nn.Module], bool],
) -> Unrolled:
    """The run with each operation in one step.

    whole: the value of the whole input, and the values of its steps.
    batch: samples.
    OtherForm for a neuron that takes one step and is given all of them.
    """
    unroller = _Unroller(batch, is_neuron)
    for value, steps in whole.items():
        axis = AXIS[steps.layout]
        numbers = [unroller.elements.of(part) for part in steps.parts]
        unroller.numbers[value] = torch.stack(numbers, axis)
        unroller.ops += [part.op for part in steps.parts]
    for op in ops:
        if not any(value.op is op for value in whole):
            unroller.take(op)
    return Unrolled(unroller.ops, unroller.answer(result))


class _Unroller:
    """``numbers``: of values that were moved, and of values of all steps. ``mixed``: values that do
    not have their samples apart."""

    def __init__(self, batch: int, is_neuron: Callable[[nn.Module], bool]) -> None:
        self.batch, self.is_neuron = batch, is_neuron
        self.ops: list[Op] = []
        self.elements = Elements(batch)
        self.numbers: dict[Value, torch.Tensor] = {}
        self.mixed: set[Value] = set()

    def take(self, op: Op) -> None:
        """Enter one operation of the run."""
        values = list(values_in((op.args, op.kwargs)))
        if not self.mixed.isdisjoint(values):
            self.mixed |= {Value(op, index) for index in range(len(op.results))}
            op.args, op.kwargs = self.answer(op.args), self.answer(op.kwargs)
            self.ops.append(op)
            return
        if values and self._follow(op):
            return
        decoded = {value: self._decoded(value) for value in dict.fromkeys(values)}
        if any(item is None for item in decoded.values()):
            self._leave(op)
            return
        steps = {value: item for value, item in decoded.items() if isinstance(item, Steps)}
        if steps:
            self._each_step(op, decoded, list(steps.values()))
            return
        op.args, op.kwargs = _put(op.args, decoded), _put(op.kwargs, decoded)
        self.ops.append(op)
        for index, tensor in enumerate(op.results):
            if tensor.dim() < 1 or tensor.shape[0] != self.batch:
                self.mixed.add(Value(op, index))

    def answer(self, item: Any) -> Any:
        """What forward returned, step by step; samples may be mixed in it."""
        if isinstance(item, Value):
            if item in self.mixed:
                return item
            decoded = self._decoded(item)
            if isinstance(decoded, Steps):
                return decoded.parts
            return decoded or tuple(self.elements.sources(self.numbers[item]))
        if isinstance(item, dict):
            return {key: self.answer(value) for key, value in item.items()}
        if isinstance(item, (list, tuple)):
            return tuple(self.answer(value) for value in item)
        return item

    def _leave(self, op: Op) -> None:
        """Enter an operation as it is, whose results do not have samples and steps apart."""
        apart = all(tensor.dim() and tensor.shape[0] == self.batch for tensor in op.results)
        if apart and op.kind == "function":  # a sum over parts that are no steps, perhaps
            op.call = partial(_together, op.call, self._layouts_of(op.args), self.batch)
        else:
            self.mixed |= {Value(op, index) for index in range(len(op.results))}
        op.args, op.kwargs = self.answer(op.args), self.answer(op.kwargs)
        self.ops.append(op)

    def _layouts_of(self, args: tuple[Any, ...]) -> dict[int, str]:
        """Of arguments that hold all steps: how the steps lie in them, by place."""
        values = {k: self._decoded(v) for k, v in enumerate(args) if isinstance(v, Value)}
        return {k: v.layout for k, v in values.items() if isinstance(v, Steps)}

    def _follow(self, op: Op) -> bool:
        """Enter an operation that moves values alone; whether it is one."""
        if passes(op):
            found = [self._numbers_of(op.args[0])]
        elif moves(op):
            try:
                found = moved(op, self._numbers_of)
            except (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError):
                return False  # it does not take whole numbers
        else:
            return False
        if len(found) != len(op.results) or any(
            numbers.shape != tensor.shape for numbers, tensor in zip(found, op.results, strict=True)
        ):
            return False
        self.numbers |= {Value(op, index): numbers for index, numbers in enumerate(found)}
        return True

    def _numbers_of(self, item: Any) -> Any:
        """``item`` with numbers in place of values, and of constants of floats."""
        if isinstance(item, Value):
            return self.numbers[item] if item in self.numbers else self.elements.of(item)
        if isinstance(item, torch.Tensor) and item.is_floating_point():
            return self.elements.constant(item)
        if isinstance(item, dict):
            return {key: self._numbers_of(value) for key, value in item.items()}
        if isinstance(item, (list, tuple)):
            return tuple(self._numbers_of(value) for value in item)
        return item

    # -- moved values as values of one step ------------------------------------------------------

    def _decoded(self, value: Value) -> Value | Steps | None:
        """The value of one step, or of each step, that a value is; None if it is neither."""
        if value not in self.numbers:
            return value
        numbers = self.numbers[value]
        if numbers.dim() and numbers.shape[0] == self.batch:
            pattern = self.elements.pattern(numbers)
            if pattern is not None:
                return self._built(pattern, numbers.shape, value.op)
        for layout, rows in _layouts(numbers, self.batch):
            patterns = [self.elements.pattern(row) for row in rows]
            if all(pattern is not None for pattern in patterns):
                parts = [
                    self._built(pattern, row.shape, value.op)
                    for pattern, row in zip(patterns, rows, strict=True)
                    if pattern is not None
                ]
                return Steps(tuple(parts), layout)
        return None

    def _built(self, pattern: Pattern, shape: torch.Size, op: Op) -> Value:
        """A value of one step with the elements of a pattern."""
        total: Value | None = None
        for which in np.unique(pattern.source[pattern.source >= 0]).tolist():
            source = self.elements.values[which]
            assert isinstance(source, Value)
            here = pattern.source == which
            part = self._picked(source, here, pattern.element, shape, op)
            total = (
                part
                if total is None
                else self._function("add", (total, part), shape, op, torch.add)
            )
        rest = torch.as_tensor(pattern.rest.reshape(shape[1:]))
        if total is None:
            return self._function("constant", (), shape, op)
        return self._function("add", (total, rest), shape, op, torch.add) if rest.any() else total

    def _picked(
        self, source: Value, here: np.ndarray, element: np.ndarray, shape: torch.Size, op: Op
    ) -> Value:
        """The elements of ``source`` at the places ``here`` of a value of ``shape``, else 0."""
        tensor = source.tensor
        size = tensor[0].numel()
        if here.all() and here.size == size and (element == np.arange(size)).all():
            if tensor.shape == shape:
                return source
            return self._function("reshape", (source,), shape, op)
        return self._function("pick", (source, np.where(here, element, -1)), shape, op)

    def _function(
        self, name: str, args: tuple[Any, ...], shape: torch.Size, op: Op, call: Any = None
    ) -> Value:
        """An operation that forward did not do in this form: its values are not known."""
        result = torch.zeros(1, dtype=torch.float64).expand(shape)
        new = Op("function", name, args, {}, call, op.where, (result,))
        self.ops.append(new)
        return Value(new)

    # -- operations on all steps -----------------------------------------------------------------

    def _each_step(self, op: Op, decoded: dict[Value, Any], steps: list[Steps]) -> None:
        """Enter an operation on all steps, one for each step."""
        layout, count = steps[0].layout, len(steps[0].parts)
        neuron = op.kind == "module" and self.is_neuron(op.call)
        many = getattr(op.call, "step_mode", None) == "m"
        if neuron and not (many and layout == "tb"):
            raise OtherForm(
                f"neurons {op.name!r} at {op.where} must be given one step at a call, not all steps"
            )
        alike = all((s.layout, len(s.parts)) == (layout, count) for s in steps)
        alone = op.kind == "function" or layout not in AXIS or many or type(op.call) is nn.Linear
        results = [_rows(tensor, layout, count, self.batch) for tensor in op.results]
        if neuron and results[0] is not None:  # its last state, behind its spikes, has no steps
            self.mixed |= {Value(op, index) for index in range(1, len(results))}
            results = results[:1]
        if not alike or not alone or any(rows is None for rows in results):
            self._leave(op)
            return
        states = getattr(op.call, "v_seq", None) if neuron else None
        clones = []
        for step in range(count):
            here = {
                value: item.parts[step] if isinstance(item, Steps) else item
                for value, item in decoded.items()
            }
            clones.append(
                replace(
                    op,
                    args=_put(op.args, here),
                    kwargs=_put(op.kwargs, here),
                    results=tuple(rows[step] for rows in results if rows is not None),
                    state=None if states is None else states[step].detach().clone(),
                    axis=AXIS.get(layout) if op.kind == "function" or many else None,
                )
            )
        self.ops += clones
        for index in range(len(results)):
            numbers = [self.elements.of(Value(clone, index)) for clone in clones]
            self.numbers[Value(op, index)] = _joined(numbers, layout, self.batch)


def _layouts(numbers: torch.Tensor, batch: int) -> list[tuple[str, list[torch.Tensor]]]:
    """The layouts that a shape allows, each with the values of the steps."""
    layouts = []
    for layout in ("tb", "bt", "t*b", "b*t"):
        if layout in AXIS:
            count = numbers.shape[AXIS[layout]] if numbers.dim() > 1 else 0
        else:
            count = numbers.shape[0] // batch if numbers.dim() else 0
        rows = _rows(numbers, layout, count, batch) if count else None
        if rows is not None:
            layouts.append((layout, rows))
    return layouts


def _rows(tensor: torch.Tensor, layout: str, count: int, batch: int) -> list[torch.Tensor] | None:
    """The steps of a tensor, each [sample, ...], or None if its shape is another."""
    if tensor.dim() < 1:
        return None
    if layout in AXIS:
        if tuple(tensor.shape[:2]) != ((count, batch) if layout == "tb" else (batch, count)):
            return None
        return list(tensor.unbind(AXIS[layout]))
    if tensor.shape[0] != count * batch:
        return None
    apart = (count, batch) if layout == "t*b" else (batch, count)
    return list(tensor.reshape(*apart, *tensor.shape[1:]).unbind(0 if layout == "t*b" else 1))


def _joined(rows: list[torch.Tensor], layout: str, batch: int) -> torch.Tensor:
    """The opposite of :func:`_rows`."""
    whole = torch.stack(rows, 0 if layout in ("tb", "t*b") else 1)
    return whole if layout in AXIS else whole.flatten(0, 1)


def _together(
    call: Any, layouts: dict[int, str], batch: int, *args: Any, **kwargs: Any
) -> torch.Tensor:
    """``call`` with its arguments of all steps put together again."""
    whole = [
        _joined(list(arg), layouts[k], batch) if k in layouts else arg for k, arg in enumerate(args)
    ]
    result: torch.Tensor = call(*whole, **kwargs)
    return result


def _put(item: Any, values: dict[Value, Any]) -> Any:
    """``item`` with other values in place of those in it."""
    if isinstance(item, Value):
        return values.get(item, item)
    if isinstance(item, dict):
        return {key: _put(value, values) for key, value in item.items()}
    if isinstance(item, tuple):
        return tuple(_put(value, values) for value in item)
    return item
