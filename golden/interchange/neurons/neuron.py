"""A neuron of a framework as a node, and what its readers share."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from spikeloop.golden.interchange.graph.node import Node
from spikeloop.pysim.common.errors import InputError

__all__ = ["Neuron", "array", "check", "framework"]

FRAMEWORKS = ("snntorch.", "spikingjelly.", "norse.", "sinabs.")


@dataclass(frozen=True, eq=False)
class Neuron:
    """A neuron as a node.

    recurrent: a module of its own that its spikes of the step before go through.
    shown:     the membrane that the framework shows, "before" or "after" the reset.
    entry:     a module of its own that its input goes through.
    """

    node: Node
    recurrent: nn.Module | None = None
    shown: str = "after"
    entry: nn.Module | None = None


def framework(module: nn.Module) -> str | None:
    """The framework that a module is of, or None."""
    where = type(module).__module__
    return next((p[:-1] for p in FRAMEWORKS if where.startswith(p)), None)


def array(value: Any) -> np.ndarray:
    """A parameter as float64: a number, or one a neuron."""
    flat = np.asarray(torch.as_tensor(value).detach().cpu().double().numpy(), np.float64)
    return flat.reshape(-1)[0] if flat.size == 1 else flat


def check(path: str, threshold: np.ndarray, **values: np.ndarray) -> None:
    """InputError unless all values of neurons ``path`` are finite and their threshold positive."""
    for name, value in {"threshold": threshold, **values}.items():
        if not np.isfinite(value).all():
            raise InputError(
                f"{name} of neurons {path!r} must be finite, not {np.ravel(value)}"[:200]
            )
    if (np.asarray(threshold) <= 0).any():
        raise InputError(
            f"threshold of neurons {path!r} must be positive, not {np.min(threshold):g}"
        )
