"""Float nets: layers of spiking neurons one after another, and the fully connected net's file.

A layer of n neurons with m inputs has ``weight [m, n]``, ``bias [n]``, ``tau [n]`` and, if
recurrent, ``recurrent [n, n]`` (source first). Spikes pass from layer to layer within one step.
Recurrent spikes arrive one step later. The file is safetensors with a JSON header under the key
``spikeloop_float``. It is never pickle.
"""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import save
from torch import Tensor, nn

from spikeloop.golden.nets.files import read_safetensors
from spikeloop.golden.nets.neurons import lif_step
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import write_atomic
from spikeloop.pysim.network.convolution import Conv

__all__ = ["FloatLayer", "FloatNet", "LayeredNet", "SpikingLayer"]

VERSION = 1
# Initial weights ~ N(0, GAIN / sqrt(inputs)): few inputs are active at once, and the layer must
# spike from the first batch on.
GAIN = 3.0


class FloatLayer(Protocol):
    """The parameters of a layer.

    With ``conv``: ``weight [maps, maps before, height, width]``, ``bias [maps]``, ``tau [1]``.
    """

    conv: Conv | None
    weight: nn.Parameter
    recurrent: nn.Parameter | None
    bias: nn.Parameter
    tau: nn.Parameter

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]: ...


class SpikingLayer(nn.Module):
    """One fully connected layer of LIF neurons."""

    conv: Conv | None = None

    def __init__(self, inputs: int, size: int, *, recurrent: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, size) * (GAIN / inputs**0.5))
        self.recurrent = (
            nn.Parameter(torch.randn(size, size) * (0.5 / size**0.5)) if recurrent else None
        )
        self.bias = nn.Parameter(torch.zeros(size))
        self.tau = nn.Parameter(torch.full((size,), 0.5))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Spikes and membranes before reset, ``[T, B, size]``, of spikes ``[T, B, inputs]``."""
        steps, batch, _ = x.shape
        currents = (x.reshape(steps * batch, -1) @ self.weight + self.bias).view(steps, batch, -1)
        u = s = torch.zeros_like(currents[0])
        spikes, membranes = [], []
        for current in currents:
            if self.recurrent is not None:
                current = current + s @ self.recurrent
            u, s = lif_step(u, s, current, self.tau)
            spikes.append(s)
            membranes.append(u)
        return torch.stack(spikes), torch.stack(membranes)

    @torch.no_grad()
    def clamp_(self) -> None:
        """Clamp to the ranges of the fixed point: weights and biases -1..1 (= U_th), tau 0..1."""
        for name, parameter in self.named_parameters():
            parameter.clamp_(0.0 if name == "tau" else -1.0, 1.0)


class LayeredNet(nn.Module):
    """Layers one after another; golden/quantize/quantize.py takes such nets.

    sizes:    of the input, then of each layer.
    metadata: free JSON: encoder, data source, training settings, accuracy
              (see :func:`golden.training.train.train`).
    """

    layers: Sequence[FloatLayer]
    sizes: tuple[int, ...]
    metadata: dict[str, Any]

    @property
    def names(self) -> list[str]:
        """Population names of the layers: hidden1, hidden2, ..., output."""
        return [f"hidden{i + 1}" for i in range(len(self.layers) - 1)] + ["output"]

    def forward(self, x: Tensor) -> list[Tensor]:
        """Spikes of every layer, ``[T, B, size]``, from input spikes ``[T, B, inputs]``."""
        every = []
        for layer in self.layers:
            x, _ = layer(x)
            every.append(x)
        return every

    def check_finite(self) -> None:
        """Raise InputError if any parameter is NaN or infinite."""
        for name, parameter in self.named_parameters():
            if not torch.isfinite(parameter).all():
                bad = parameter.detach()[~torch.isfinite(parameter)][0]
                raise InputError(
                    f"{name} of the float net must be finite, not {bad.item()}: train it again, "
                    "with a smaller learning rate"
                )


class FloatNet(LayeredNet):
    """Fully connected layers.

    sizes:     of the input, then of each layer.
    recurrent: give every hidden layer lateral synapses.
    InputError for sizes that are not two or more integers of 1..2^20.
    """

    layers: Sequence[SpikingLayer]

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        recurrent: bool = False,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if len(sizes) < 2 or any(
            isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= 1 << 20 for n in sizes
        ):
            raise InputError(
                f"layers must be two or more sizes of 1..{1 << 20}, not {'-'.join(map(str, sizes))}"
            )
        self.sizes, self.recurrent, self.metadata = tuple(sizes), recurrent, metadata or {}
        self.layers = nn.ModuleList(  # type: ignore[assignment]
            SpikingLayer(m, n, recurrent=recurrent and i < len(sizes) - 2)
            for i, (m, n) in enumerate(pairwise(sizes))
        )

    def save(self, path: str | Path) -> Path:
        """Write the file whole or not at all; InputError for a net that is not finite."""
        self.check_finite()
        header = {
            "version": VERSION,
            "sizes": self.sizes,
            "recurrent": self.recurrent,
            "metadata": self.metadata,
        }
        tensors = {name: p.detach().contiguous() for name, p in self.named_parameters()}
        return write_atomic(
            path, save(tensors, {"spikeloop_float": json.dumps(header, sort_keys=True)})
        )

    @classmethod
    def load(cls, path: str | Path) -> "FloatNet":
        """Read and check; InputError for anything but a sound file."""
        what = f"float net {str(path)!r}"
        header, tensors = read_safetensors(
            path,
            what=what,
            key="spikeloop_float",
            version=VERSION,
            writer="spikeloop train",
            framework="pt",
        )
        try:
            net = cls(header["sizes"], recurrent=header["recurrent"], metadata=header["metadata"])
            net.load_state_dict(tensors)
        except (KeyError, TypeError, RuntimeError) as error:
            raise InputError(
                f"tensors of {what} must match its header, not differ "
                f"({' '.join(str(error).split())})"
            ) from None
        net.check_finite()
        return net
