"""What a module's forward does: every operation on values that depend on its input, in order.

Forward runs with real numbers while two things are watched. Calls of modules that stand for one
operation (neurons, linear layers, pools) become one :class:`Op` each; functions and tensor methods
outside of them become one each as well. A value is known by the tensor that carries it, so the
order is that of the run, a module may be used twice, and loops and lists of modules cost nothing.

Reading a traced value in Python (``if``, ``.item()``) would make the trace true of one input alone;
it is refused with the line that does it.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import nn
from torch.autograd import Function
from torch.overrides import TorchFunctionMode

from spikeloop.pysim.common.errors import InputError

__all__ = ["Op", "OtherForm", "Recorder", "Value", "values_in"]


class OtherForm(InputError):
    """Forward wants its input in another form."""


HERE = Path(__file__).parent.parent
"""Folder of the import: a line of its own is none of the user's."""
READS = {
    "__bool__": "a condition",
    "__int__": "int()",
    "__float__": "float()",
    "__index__": "an index",
    "item": ".item()",
    "tolist": ".tolist()",
    "numpy": ".numpy()",
    "__array__": "numpy",
    "nonzero": ".nonzero()",
}
"""Tensor methods that hand a value to Python."""

OVERWRITES = ("__setitem__", "copy_")
"""Tensor methods whose first argument is another one afterwards."""

QUIET = {
    "size", "dim", "ndimension", "numel", "__len__", "requires_grad_", "is_floating_point", "type",
    "stride", "is_contiguous", "data_ptr", "storage_offset", "element_size", "__repr__", "__hash__",
    "get_device", "register_hook",
}  # fmt: skip
"""Tensor methods whose answer does not depend on the values."""


@dataclass(eq=False)
class Op:
    """One operation.

    kind:         "input", "module" or "function".
    name:         path of the module or name of the function.
    args, kwargs: its arguments; traced tensors among them are :class:`Value`.
    where:        the line of the user that did it.
    results:      the tensors.
    axis:         axis of the steps in the arguments of ``call``, where the operation is one step
                  of a function that ran on all of them.
    state:        a copy of what a neuron keeps, after the call.
    """

    kind: str
    name: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    call: Any = None
    where: str = ""
    results: tuple[torch.Tensor, ...] = field(default=(), repr=False)
    state: torch.Tensor | None = field(default=None, repr=False)
    axis: int | None = None


@dataclass(frozen=True)
class Value:
    """Result ``index`` of an operation."""

    op: Op
    index: int = 0

    @property
    def tensor(self) -> torch.Tensor:
        return self.op.results[self.index]


class Recorder(TorchFunctionMode):
    """Records while its ``with`` block runs. ``is_leaf`` tells which modules are one operation.

    ``state_of`` gives the tensor a neuron keeps. ``ops`` holds the operations in order, ``result``
    what the last :meth:`run` returned, with a :class:`Value` in place of each traced tensor.
    """

    def __init__(
        self,
        net: nn.Module,
        is_leaf: Callable[[nn.Module], bool],
        is_neuron: Callable[[nn.Module], bool],
        state_of: Callable[[nn.Module], torch.Tensor | None],
    ) -> None:
        super().__init__()
        self.ops: list[Op] = []
        self.result: Any = None
        self._names = {
            module: name or type(module).__name__ for name, module in net.named_modules()
        }
        self._is_leaf, self._is_neuron, self._state_of = is_leaf, is_neuron, state_of
        self._net, self._inside = net, 0
        self._path: list[str] = []  # modules that are being called, and are no leaves
        self._values: dict[int, Value] = {}
        self._alive: list[torch.Tensor] = []  # an id is that of one tensor only as long as it lives

    def run(self, x: torch.Tensor, *state: Any) -> Any:
        """Call the module with ``x``, and with what it returned before; what it returns."""
        x = x.clone()
        self._record(Op("input", "input"), x)
        plain = nn.Module.__call__

        def watched(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            if self._inside:
                return plain(module, *args, **kwargs)
            if isinstance(module, torch.jit.ScriptModule) and self._depends((args, kwargs)):
                raise InputError(
                    f"module {self._names.get(module, 'of torch.jit')!r} must be Python, not "
                    "TorchScript, which hides what it does"
                )
            if not self._is_leaf(module):
                self._path.append(self._names.get(module, type(module).__name__))
                try:
                    return plain(module, *args, **kwargs)
                finally:
                    self._path.pop()
            self._inside += 1
            try:
                out = plain(module, *args, **kwargs)
            finally:
                self._inside -= 1
            if not (self._is_neuron(module) or self._depends((args, kwargs))):
                return out
            name = self._names.get(module, type(module).__name__)
            op = Op("module", name, self._traced(args), self._traced(kwargs), module, self._line())
            state = self._state_of(module)
            op.state = None if state is None else state.detach().clone()
            self._record(op, out)
            return out

        calls = patch.object(nn.Module, "__call__", watched)
        with torch.no_grad(), calls, patch.object(Function, "apply", self._applied()), self:
            out = self._net(x, *state)
        self.result = self._traced(out)
        return out

    def _applied(self) -> classmethod:
        """``apply`` of a function with a gradient of its own: one operation."""
        plain = Function.__dict__["apply"].__func__

        def apply(cls: Any, *args: Any) -> Any:
            if self._inside or not self._depends(args):
                return plain(cls, *args)
            self._inside += 1
            try:
                out = plain(cls, *args)
            finally:
                self._inside -= 1
            call = partial(plain, cls)
            self._record(
                Op("function", cls.__name__, self._traced(args), {}, call, self._line()), out
            )
            return out

        return classmethod(apply)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", str(func))
        if name == "__iter__" and self._depends(args):
            return iter(args[0].unbind(0))
        if self._inside or name in QUIET:
            return func(*args, **kwargs)
        if (
            name == "__get__"
        ):  # a property: a view of the values (T, mT, real, data), or none of them
            out = func(*args, **kwargs)
            if not (isinstance(out, torch.Tensor) and self._depends(args)):
                return out
            owner = getattr(func, "__self__", None)
            name = getattr(owner, "__name__", "property")
            return self._after(
                Op("function", name, self._traced(args), {}, func, self._line()), out
            )
        if not self._depends((args, kwargs)):
            out = func(*args, **kwargs)
            if name == "__setitem__" or name.endswith("_"):
                self._forget(args)
            return out
        if name in READS:
            raise InputError(
                f"forward must not depend on its data in Python, as it does at {self._line()} "
                f"({READS[name]}): the network would be that of one input alone"
            )
        before = self._traced(args)
        if name in OVERWRITES and isinstance(before[0], torch.Tensor):
            before = (before[0].detach().clone(), *before[1:])
        inside, self._inside = self._inside, self._inside + 1
        try:
            out = func(*args, **kwargs)
        finally:
            self._inside = inside
        given = {key: value for key, value in kwargs.items() if key != "out"}
        op = Op("function", name, before, self._traced(given), func, self._line())
        if name == "__setitem__":
            self._record(op, args[0])
            return None
        return self._after(op, out)

    def _line(self) -> str:
        """Where the user's code is: "net.py:17", or the module that torch calls on its own."""
        frame = sys._getframe(1)
        while frame is not None:
            file = Path(frame.f_code.co_filename)
            if HERE in file.parents and file.name != Path(__file__).name:
                break
            ours = file == Path(__file__) or file.parent.name == "unittest"
            if "site-packages" not in file.parts and not ours:
                return f"{file.name}:{frame.f_lineno}"
            frame = frame.f_back  # type: ignore[assignment]
        return f"module {self._path[-1]!r}" if self._path else "the top of the net"

    def _after(self, op: Op, out: Any) -> Any:
        self._record(op, out)
        return out

    def _record(self, op: Op, out: Any) -> None:
        tensors = list(_tensors(out))
        op.results = tuple(tensor.detach() for tensor in tensors)  # keeps its shape in any case
        for index, tensor in reversed(list(enumerate(tensors))):  # the first place of a tensor
            self._values[id(tensor)] = Value(op, index)
            self._alive.append(tensor)
        self.ops.append(op)

    def _forget(self, args: tuple[Any, ...]) -> None:
        """A tensor that is overwritten carries its old value no longer."""
        if args and isinstance(args[0], torch.Tensor):
            self._values.pop(id(args[0]), None)

    def _depends(self, item: Any) -> bool:
        return any(id(tensor) in self._values for tensor in _tensors(item))

    def _traced(self, item: Any) -> Any:
        """``item`` with values in place of the traced tensors in it."""
        if isinstance(item, torch.Tensor):
            return self._values.get(id(item), item)
        if isinstance(item, dict):
            return {key: self._traced(value) for key, value in item.items()}
        if isinstance(item, (list, tuple)):
            return tuple(self._traced(value) for value in item)
        return item


def values_in(item: Any) -> Iterator[Value]:
    """Every traced value in nested arguments, in order."""
    if isinstance(item, Value):
        yield item
    elif isinstance(item, dict):
        for value in item.values():
            yield from values_in(value)
    elif isinstance(item, (list, tuple)):
        for value in item:
            yield from values_in(value)


def _tensors(item: Any) -> Iterator[torch.Tensor]:
    if isinstance(item, torch.Tensor):
        yield item
    elif isinstance(item, dict):
        for value in item.values():
            yield from _tensors(value)
    elif isinstance(item, (list, tuple)):
        for value in item:
            yield from _tensors(value)
