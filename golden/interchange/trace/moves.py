"""Functions that move values and compute nothing, and where each value of their result comes from.

Such a function is run on the numbers of its elements in place of their values. So one writing does
for view, permute, stack, cat, indexing and all others, whatever arguments they have.
"""

from bisect import bisect_right
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from spikeloop.golden.interchange.trace.record import Op, Value

__all__ = ["DROPOUTS", "Elements", "Pattern", "moved", "moves", "passes"]

PASSES = {
    "contiguous", "clone", "detach", "data", "float", "double", "half", "bfloat16", "to", "type",
    "type_as", "requires_grad_", "cpu",
}  # fmt: skip
"""Functions that leave the values of a trained net as they are."""
MOVES = {
    "stack", "cat", "concat", "concatenate", "hstack", "vstack", "dstack", "column_stack",
    "unsqueeze", "squeeze", "view", "reshape", "flatten", "ravel", "unflatten", "view_as",
    "reshape_as", "permute", "transpose", "swapaxes", "swapdims", "movedim", "moveaxis", "t", "T",
    "mT", "__getitem__", "select", "narrow", "index_select", "unbind", "split", "chunk",
    "tensor_split", "hsplit", "vsplit", "split_with_sizes", "expand", "expand_as", "broadcast_to",
    "repeat", "repeat_interleave", "tile", "flip", "fliplr", "flipud", "roll", "pixel_shuffle",
    "pixel_unshuffle", "channel_shuffle", "diagonal", "unfold", "__setitem__", "copy_", "pad",
}  # fmt: skip
MOVERS = (nn.Flatten, nn.Unflatten, nn.PixelShuffle, nn.PixelUnshuffle, nn.ZeroPad2d)
STANDING = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d)
DROPOUTS = {"dropout", "dropout1d", "dropout2d", "alpha_dropout", "feature_dropout"}


def passes(op: Op) -> bool:
    """Whether the result of an operation is its first argument."""
    if op.kind == "module":
        return isinstance(op.call, STANDING) and not op.call.training
    if op.name in DROPOUTS:
        training = op.kwargs.get("training", op.args[2] if len(op.args) > 2 else True)
        return training is False
    return op.name in PASSES


def moves(op: Op) -> bool:
    """Whether an operation only moves values; padding counts where it pads with zeros."""
    if op.kind == "module":
        return isinstance(op.call, MOVERS)
    if op.name == "pad":
        mode = op.kwargs.get("mode", op.args[2] if len(op.args) > 2 else "constant")
        value = op.kwargs.get("value", op.args[3] if len(op.args) > 3 else None)
        return mode == "constant" and not value
    return _plain(op.name) in MOVES


def _plain(name: str) -> str:
    """The name of the function that does the same out of place."""
    return name if name in MOVES else name.removesuffix("_")


class Pattern(NamedTuple):
    """One step of a moved value: for each element of a sample, the same in all samples,

    source:  the number of the value that it comes from, -1 for a constant.
    element: its place in a sample of that value.
    rest:    the constant, else 0.
    """

    source: np.ndarray
    element: np.ndarray
    rest: np.ndarray


class Elements:
    """Numbers for the elements of values; those of one value follow one another."""

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.values: list[Value | torch.Tensor] = [torch.zeros(1)]  # what a pad of zeros adds
        self._starts = [0]
        self._end = 1
        self._numbers: dict[Value, torch.Tensor] = {}

    def of(self, value: Value) -> torch.Tensor:
        """The numbers of a value [sample, ...], int64 of its shape."""
        if value not in self._numbers:
            self._numbers[value] = self._fresh(value, value.tensor)
        return self._numbers[value]

    def constant(self, tensor: torch.Tensor) -> torch.Tensor:
        """The numbers of a tensor that does not depend on the input."""
        return self._fresh(tensor.detach().clone(), tensor)

    def sources(self, numbers: torch.Tensor) -> list[Value]:
        """The values that ``numbers`` belong to, the last one first."""
        which = {bisect_right(self._starts, n) - 1 for n in numbers.unique().tolist()}
        values = [self.values[i] for i in sorted(which, reverse=True)]
        return [value for value in values if isinstance(value, Value)]

    def pattern(self, numbers: torch.Tensor) -> Pattern | None:
        """``numbers`` [sample, ...] as a pattern, or None if samples are mixed."""
        rows = numbers.reshape(self.batch, -1).numpy()
        starts = np.asarray(self._starts)
        first = np.searchsorted(starts, rows[0], side="right") - 1
        source, element = np.full(rows.shape[1], -1), np.zeros(rows.shape[1], np.int64)
        rest = np.zeros(rows.shape[1])
        for which in np.unique(first).tolist():
            at = first == which
            value, places = self.values[which], rows[:, at] - starts[which]
            if isinstance(value, Value):
                size = value.tensor[0].numel()
                element[at], source[at] = places[0], which
                if (places != places[0] + size * np.arange(self.batch)[:, None]).any():
                    return None
                if places[0].max() >= size:
                    return None
            else:
                flat = value.reshape(-1).double().numpy()
                if places.min() < 0 or places.max() >= flat.size:
                    return None
                constants = flat[places]
                if (constants != constants[0]).any():
                    return None
                rest[at] = constants[0]
        return Pattern(source, element, rest)

    def _fresh(self, value: Value | torch.Tensor, tensor: torch.Tensor) -> torch.Tensor:
        start, self._end = self._end, self._end + tensor.numel()
        self.values.append(value)
        self._starts.append(start)
        return torch.arange(start, self._end).reshape(tensor.shape)


def moved(op: Op, numbers: Any) -> list[torch.Tensor]:
    """The numbers of an operation's results; ``numbers(item)`` gives those of its arguments."""
    args, kwargs = numbers(op.args), numbers(op.kwargs)
    if op.name in ("__setitem__", "copy_"):
        args = (args[0].clone(), *args[1:])
        op.call(*args, **kwargs)
        return [args[0]]
    if op.kind == "function" and op.name not in MOVES:
        args = (args[0].clone(), *args[1:])
    out = op.call(*args, **kwargs)
    return list(out) if isinstance(out, (tuple, list)) else [out]
