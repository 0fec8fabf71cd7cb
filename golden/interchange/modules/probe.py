"""Functions between neurons that are asked what they do.

    affine on random numbers      a factor and a shift for each value, or a matrix read off from
                                  unit vectors (up to :data:`MAX_PROBED` inputs)
    of several values             the sum of what it does with each of them
    otherwise, behind spikes      what it does with 0 and 1: a factor and a shift, a matrix, or a
                                  logical or (a max pool), and (a product of spikes)

A logical function is a sum, then a neuron without memory. What is none of these is refused.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from spikeloop.golden.interchange.graph.node import Node
from spikeloop.golden.interchange.graph.semantics import FIXED
from spikeloop.golden.interchange.trace.record import Op, Value
from spikeloop.pysim.common.errors import InputError

__all__ = [
    "MAX_MATRIX",
    "Piece",
    "affine_node",
    "array",
    "asked",
    "asked_of_several",
    "gate",
    "reshape_node",
    "said",
    "scale_node",
]

MAX_PROBED = 4096  # inputs of a function whose matrix is read off
MAX_MATRIX = 1 << 24  # entries of one
FAILURES = (RuntimeError, TypeError, ValueError, IndexError)


@dataclass
class Piece:
    """What an operation becomes.

    nodes:         in a row.
    ways:          the values that lead to the first of them, each through nodes of its own.
    unless_spikes: the refusal, where this is true of spikes only.
    """

    nodes: list[Node]
    ways: list[tuple[Value, list[Node]]] = field(default_factory=list)
    unless_spikes: str = ""


def asked(op: Op, name: str, source: Value) -> Piece:
    """The nodes of a function of one value."""
    answers = _Answers(op, [source])
    if answers.is_affine():
        return Piece(_map(answers, name, 0), [(source, [])])
    refusal = f"{said(op)} must be affine between two neurons, not another function"
    nodes = _on_spikes(answers, name)
    if nodes is None:
        raise InputError(refusal)
    return Piece(nodes, [(source, [])], refusal)


def asked_of_several(op: Op, name: str, sources: list[Value]) -> Piece:
    """The nodes of a function of several values: the sum of what it does with each."""
    answers = _Answers(op, sources)
    shape = answers.shape
    if answers.is_affine():
        ways = [
            (source, _map(answers, f"{name}_term{place}", place, bias=False))
            for place, source in enumerate(sources)
        ]
        bias = answers.zero.numpy()
        nodes = [scale_node(name, np.ones(shape), bias, shape)]
        return Piece(nodes if bias.any() else [Node(name, "Pass", {}, {})], ways)
    refusal = f"{said(op)} must be a sum or a difference of its inputs, not another function"
    if not answers.is_product():
        raise InputError(refusal)
    ways = [
        (source, [reshape_node(f"{name}_term{place}", shape)])
        for place, source in enumerate(sources)
    ]
    return Piece([gate(name, len(sources) - 0.5)], ways, refusal)


class _Answers:
    """What an operation answers to numbers in place of its values ``sources``.

    ``shape``: of the answer to one sample. ``zero``: the answer to zeros.
    """

    def __init__(self, op: Op, sources: list[Value]) -> None:
        self.op, self.sources = op, sources
        self.shape = op.results[0].shape[1:]
        self.generator = torch.Generator().manual_seed(0)
        try:
            self.zero = self.of([torch.zeros(1, *s) for s in self.sizes])[0]
        except FAILURES as error:
            reason = str(error).splitlines()[0][:120]
            raise InputError(
                f"{said(op)} must run on other numbers too, not end with {reason}"
            ) from None

    @property
    def sizes(self) -> list[torch.Size]:
        return [source.tensor.shape[1:] for source in self.sources]

    def of(self, xs: list[torch.Tensor]) -> torch.Tensor:
        """The answers to ``xs``, one [n, ...] for each source, as many at once as the trace had
        samples: shapes that forward wrote down stay true."""
        batch, count = self.sources[0].tensor.shape[0], len(xs[0])
        padded = [
            torch.cat([x, x[:1].expand(-count % batch, *x.shape[1:])]).double().split(batch)
            for x in xs
        ]
        return torch.cat([self._replay(list(part)) for part in zip(*padded, strict=True)])[:count]

    def only(self, place: int, x: torch.Tensor) -> torch.Tensor:
        """The answers to ``x`` for one source, with zeros for the others, minus those to zeros."""
        xs = [torch.zeros(len(x), *size) for size in self.sizes]
        xs[place] = x
        return self.of(xs) - self.zero

    def is_affine(self) -> bool:
        """Whether the answers to random numbers are the sum of those to their parts."""
        if not self.op.results[0].is_floating_point():
            return False
        a, b = ([3 * self._random(size) for size in self.sizes] for _ in range(2))
        try:
            together = self.of([x + y for x, y in zip(a, b, strict=True)]) - self.zero
            parts = [self.only(k, x) for k, x in [*enumerate(a), *enumerate(b)]]
            twice = self.of([2 * x for x in a]) - self.zero
        except FAILURES:
            return False
        total, first = sum(parts), sum(parts[: len(a)])
        return _close(total, together) and _close(2 * first, twice)  # type: ignore[arg-type]

    def is_product(self) -> bool:
        """Whether the answers to zeros and ones are the product of them."""
        if any(size != self.shape for size in self.sizes):
            return False
        xs = [(self._random(size, 16) > 0).double() for size in self.sizes]
        try:
            answers = self.of(xs)
        except FAILURES:
            return False
        return _close(answers.double(), torch.stack(xs).prod(0))

    def spikes(self) -> torch.Tensor:
        """Random samples of zeros and ones."""
        rate = torch.linspace(-2, 2, 24, dtype=torch.float64)
        return (self._random(self.sizes[0], 24).transpose(0, -1) > rate).double().transpose(0, -1)

    def _random(self, size: torch.Size, count: int = 3) -> torch.Tensor:
        return torch.randn(count, *size, generator=self.generator, dtype=torch.float64)

    def _replay(self, xs: list[torch.Tensor]) -> torch.Tensor:
        """The operation on ``xs`` in place of the sources."""
        op = self.op
        if op.axis is not None:
            xs = [x.unsqueeze(op.axis) for x in xs]
        put = dict(zip(self.sources, (x.clone() for x in xs), strict=True))
        with torch.no_grad():
            out = op.call(*_replaced(op.args, put), **_replaced(op.kwargs, put))
        out = out if isinstance(out, torch.Tensor) else out[0]
        return out if op.axis is None else out.squeeze(op.axis)


def _replaced(item: Any, values: dict[Value, torch.Tensor]) -> Any:
    if isinstance(item, Value):
        return values[item]
    if isinstance(item, tuple):
        return tuple(_replaced(value, values) for value in item)
    if isinstance(item, dict):
        return {key: _replaced(value, values) for key, value in item.items()}
    return item


def _close(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape == other.shape and torch.allclose(one, other, 1e-9, 1e-9)


def _map(answers: _Answers, name: str, place: int, *, bias: bool = True) -> list[Node]:
    """What an affine function does with one of its values."""
    shape, size = answers.shape, answers.sizes[place]
    zero = answers.zero if bias else torch.zeros(shape, dtype=torch.float64)
    if shape == size:
        factor = answers.only(place, torch.ones(1, *size, dtype=torch.float64))[0]
        x = answers._random(size)
        if _close(answers.only(place, x), factor * x):
            return [scale_node(name, factor.numpy(), zero.numpy(), shape)]
    return _matrix(name, _units(answers, place), zero, size)


def _units(answers: _Answers, place: int) -> torch.Tensor:
    """The answers to unit vectors of one value."""
    size = answers.sizes[place]
    lines, neurons = size.numel(), answers.shape.numel()
    if lines > MAX_PROBED or lines * neurons > MAX_MATRIX:
        raise InputError(
            f"{said(answers.op)} must have at most {MAX_PROBED:,} inputs for its matrix to be read "
            f"off, not {lines:,}"
        )
    units = torch.eye(lines, dtype=torch.float64).reshape(lines, *size)
    return answers.only(place, units)


def _matrix(name: str, units: torch.Tensor, zero: torch.Tensor, size: torch.Size) -> list[Node]:
    bias = zero.reshape(-1).double()
    nodes = [reshape_node(f"{name}_in", (size.numel(),))]
    matrix = units.double().reshape(len(units), -1)
    nodes.append(affine_node(f"{name}_map", matrix.T, bias if bias.any() else None))
    return [*nodes, reshape_node(name, units.shape[1:])]


def _on_spikes(answers: _Answers, name: str) -> list[Node] | None:
    """What a function of zeros and ones does, or None if that has no nodes."""
    size, shape = answers.sizes[0], answers.shape
    zero, x = answers.zero.double(), answers.spikes()
    try:
        got = answers.of([x]).double() - zero
        if shape == size:
            one = answers.only(0, torch.ones(1, *size, dtype=torch.float64))[0].double()
            if _close(got, one * x):
                return [scale_node(name, one.numpy(), zero.numpy(), shape)]
        if size.numel() > MAX_PROBED or size.numel() * shape.numel() > MAX_MATRIX:
            return None
        units = _units(answers, 0).double()
    except FAILURES:
        return None
    through = (x.reshape(len(x), -1) @ units.reshape(len(units), -1)).reshape(got.shape)
    if _close(got, through):
        return _matrix(name, units, zero, size)
    if zero.any() or not _close(got, (through > 0).double()):
        return None
    return [*_matrix(f"{name}_sum", units, zero, size), gate(name, 0.5)]


# -- nodes -----------------------------------------------------------------------------------------


def array(value: Any) -> np.ndarray:
    return np.asarray(torch.as_tensor(value).detach().cpu().double().numpy(), np.float64)


def affine_node(name: str, weight: Any, bias: Any) -> Node:
    values = {"weight": array(weight)} | ({} if bias is None else {"bias": array(bias)})
    return Node(name, "Linear" if bias is None else "Affine", values, {})


def reshape_node(name: str, shape: tuple[int, ...]) -> Node:
    return Node(name, "Reshape", {"shape": np.array(shape, np.int64)}, {})


def scale_node(name: str, scale: np.ndarray, bias: np.ndarray, shape: torch.Size) -> Node:
    whole = tuple(shape)
    values = {"scale": np.broadcast_to(scale, whole).ravel().copy()}
    if np.any(bias):
        values["bias"] = np.broadcast_to(bias, whole).ravel().copy()
    return Node(name, "Scale", values, {})


def gate(name: str, threshold: float) -> Node:
    """A neuron without memory: it spikes where the sum that arrives is above ``threshold``."""
    values = {"beta": np.float64(0), "v_threshold": np.float64(threshold), "v_reset": np.float64(0)}
    return Node(name, "Leaky", values, FIXED)


def said(op: Op) -> str:
    what = f"layer {op.name!r}" if op.kind == "module" else f"{op.name.strip('_')}()"
    return f"{what} at {op.where}"
