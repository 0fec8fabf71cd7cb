"""Q-STDB (ACE-SNN, Datta et al. 2022): few-bit spiking nets, trained first as ANNs.

A net without biases is trained as an ANN, converted, and then trained as a spiking net of few-bit
weights.

    u[t] = leak u[t-1] + I[t],  z = u / v - 1,  o[t] = 1 if z > 0,  then u[t] -= v o[t]    Eqs 2, 3
    I[t] = sum of what o[t] of the layer before
    first layer: the sum of its multi-bit pixels, the same in every step
    output: U = sum over t of what o[t], no leak, no spike
    loss = cross entropy(softmax(U), label)                                             Eqs 15, 16
    backward: do/dz = gamma max(0, 1 - |z|), gamma = 0.3;  dwhat/dw = 1                 Eqs 20, 21

The reset is soft and carries no gradient through o. (Eq 21 prints dz/do, and Eq 20 has the factors
upside down. Bellec et al. 2018, which it cites, has do/dz.) Every hidden layer has one leak and one
threshold v, both trained. The same net has several forms, :data:`FORMS`, which say what a weight w
of b bits becomes:

    float   w in full precision
    affine  (q - z) / s,  q = round(s w) + z,  s = (2^b - 1) / (max w - min w),
            z = -2^(b-1) - round(s min w)                                     in training (Eq 14)
    scale   q / s,  q = round(s w),  s = (2^(b-1) - 1) / max |w|              inference (Eq 13)
    shift   as scale, and the leak is the sum of shifts that the chip computes, as a real number

golden/rules/qstdb/integer.py makes what the chip has: the form shift with thresholds and membranes
rounded too. A first layer in a PIM macro has the macro's own arithmetic, ADC included, in every
form but ``float``.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F

from spikeloop.golden.nets.files import kept_files, read_safetensors
from spikeloop.golden.nets.pim_layers import PimConv2d, PimConv3d, PimLinear, scale
from spikeloop.golden.quantize.leak import best_leak
from spikeloop.pysim.common.checks import check_int
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import write_atomic
from spikeloop.pysim.pim.layer import PimParams
from spikeloop.pysim.pim.window import PimWindow

__all__ = ["FORMS", "GAMMA", "Layer", "QstdbNet", "affine", "checkpoint", "fire", "scale"]

FORMS = ("float", "affine", "scale", "shift")
GAMMA = 0.3
VERSION = 1
MAX_STEPS, MAX_NEURONS = 65_535, 1 << 24
NAMES = ("pim-mnist", "digital-mnist")  # with the PIM macro, and the same net without
# by dimensions of the map
_SUMS: dict[int, Any] = {2: (F.conv2d, torch.channels_last), 3: (F.conv3d, torch.channels_last_3d)}
_PIM: dict[int, Any] = {2: PimConv2d, 3: PimConv3d}
WINDOW = ("source", "kernel", "stride", "padding")  # of a layer in the file


@dataclass(frozen=True, kw_only=True)
class Layer:
    """The geometry of one layer.

    window:   of 0 dimensions for a fully connected layer.
    channels: of the output.
    """

    name: str
    window: PimWindow
    channels: int

    @property
    def target(self) -> tuple[int, ...]:
        """The output map (channels, *sizes)."""
        return (self.channels, *self.window.target)

    @property
    def weights_shape(self) -> tuple[int, ...]:
        return (self.channels, self.window.source[0], *self.window.kernel)

    def sum(self, x: Tensor, weight: Tensor) -> Tensor:
        """Weighted sums ``[n, *target]`` of ``x``, ``[n, ...]``, which holds the source map."""
        maps = x.reshape(len(x), *self.window.source)
        if not self.window.kernel:
            return F.linear(maps, weight)
        sums, order = _SUMS[len(self.window.kernel)]  # channels last: half the time
        summed: Tensor = sums(
            maps.contiguous(memory_format=order),
            weight,
            stride=self.window.stride,
            padding=self.window.padding,
        )
        return summed


def affine(w: Tensor, bits: int) -> Tensor:
    """The affine form of w, with the gradient of w.

    Its quantised range is the range of w, so that no weight is clipped.
    """
    real = w.detach()
    low, high = real.min(), real.max()
    s = ((1 << bits) - 1) / (high - low).clamp(min=1e-12)
    z = -(1 << bits - 1) - torch.round(s * low)
    q = (torch.round(s * real) + z).clamp(-(1 << bits - 1), (1 << bits - 1) - 1)
    return w + ((q - z) / s - real)


class _Lif(torch.autograd.Function):
    """Eqs 2 and 3 of one layer, and their gradient by Eq 21.

    Spikes ``[T n, ...]`` of currents ``[T n, ...]``, or ``[n, ...]`` if held.

    The gradient is written out, since the tape of single operations takes twice as long. With
    g = dL/du before the reset and d = dL/du after it,

        g[t] = dL/do[t] GAMMA max(0, 1 - |z[t]|) / v + d[t],  d[t - 1] = leak g[t].
    """

    @staticmethod
    def forward(
        ctx: Any, currents: Tensor, leak: Tensor, threshold: Tensor, steps: int, held: bool
    ) -> Tensor:
        v, keep = threshold.item(), leak.item()
        parts = [currents] * steps if held else currents.chunk(steps)
        before, spikes = [parts[0]], [(parts[0] > v).to(currents.dtype)]
        for current in parts[1:]:
            u = before[-1].sub(spikes[-1], alpha=v).mul_(keep).add_(current)
            before.append(u)
            spikes.append((u > v).to(u.dtype))
        ctx.save_for_backward(leak, threshold, *before, *spikes)
        ctx.held = held
        return torch.cat(spikes)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        leak, threshold, *saved = ctx.saved_tensors
        before, spikes = saved[: len(saved) // 2], saved[len(saved) // 2 :]
        v, keep, currents = threshold.item(), leak.item(), list[Tensor]()
        of_leak, of_threshold = torch.zeros_like(leak), torch.zeros_like(threshold)
        steps = list(zip(before, spikes, grad.chunk(len(before)), strict=True))
        for t, (u, o, out) in enumerate(reversed(steps)):
            triangle = (1 - (u / v).sub_(1).abs_()).clamp_(min=0)
            z = triangle.mul_(GAMMA / v).mul_(out)  # dL/do do/dz dz/du
            of_threshold -= torch.sum(z * u) / v
            if t:  # through the reset and the leak of the step after
                after = currents[-1] * keep
                of_threshold -= torch.sum(after * o)
                of_leak += torch.sum(currents[-1] * u.sub(o, alpha=v))
                z += after
            currents.append(z)
        whole = torch.stack(currents).sum(0) if ctx.held else torch.cat(currents[::-1])
        return whole, of_leak, of_threshold, None, None


def fire(
    currents: Tensor, leak: Tensor, threshold: Tensor, steps: int, *, held: bool = False
) -> Tensor:
    """Spikes ``[T n, ...]``, step by step, of one layer.

    currents: ``[T n, ...]`` or, if ``held``, ``[n, ...]``, the same in every step.
    """
    spikes: Tensor = _Lif.apply(currents, leak, threshold, steps, held)
    return spikes


class QstdbNet(nn.Module):
    """A net from pixels to classes.

    bits:     of a weight, 2..8.
    steps:    T.
    unit:     pixel value that means 1.0.
    pim:      parameters of the macro that runs the first layer; its weight bits must be ``bits``.
    tables:   further arguments of PimLayer.make for that layer.
    metadata: free JSON.
    Inputs are whole numbers, float32 ``[n, ...]``. InputError for layers that do not fit.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        *,
        bits: int = 6,
        steps: int = 5,
        unit: float = 255.0,
        pim: PimParams | None = None,
        **tables: Any,
    ) -> None:
        super().__init__()
        whole = isinstance(bits, int) and not isinstance(bits, bool)
        if len(layers) < 2 or not whole or not 2 <= bits <= 8:
            raise InputError(
                "a Q-STDB net must have two or more layers and 2..8 weight bits, not "
                f"{len(layers)} layers and {bits!r} bits"
            )
        check_int("steps of a Q-STDB net", steps, 1, MAX_STEPS)
        number = isinstance(unit, int | float) and not isinstance(unit, bool)
        if not number or not 0 < unit < math.inf:
            raise InputError(f"unit of a Q-STDB net must be a number above 0, not {unit!r}")
        for layer in layers:
            check_int(f"channels of layer {layer.name!r}", layer.channels, 1, MAX_NEURONS)
            size = math.prod(layer.target)
            check_int(f"neurons of layer {layer.name!r}", int(size), 1, MAX_NEURONS)
        for before, after in pairwise(layers):
            if math.prod(after.window.source) != math.prod(before.target):
                raise InputError(
                    f"source of layer {after.name!r} must hold the map {before.target} before it, "
                    f"not {after.window.source}"
                )
        if layers[-1].window.positions != 1:
            raise InputError(
                f"last layer {layers[-1].name!r} must have one output per class, not a map "
                f"{layers[-1].target}"
            )
        if pim and pim.weight_bits != bits:
            raise InputError(
                f"weight_bits of the PIM macro must be the net's {bits}, not {pim.weight_bits}"
            )
        self.layers, self.bits, self.steps, self.unit = tuple(layers), bits, steps, unit
        self.metadata: dict[str, Any] = {}
        self.weights = nn.ParameterList(  # He et al. 2015, for ReLU
            torch.randn(x.weights_shape) * (2 / x.window.rows) ** 0.5 for x in layers
        )
        self.leak = nn.Parameter(torch.ones(len(layers) - 1))
        self.threshold = nn.Parameter(torch.ones(len(layers) - 1))
        self.pim: Any = None
        if pim:
            self.pim = _pim_module(pim, layers[0], tables)
            self.pim.weight = self.weights[0]

    # -- float -----------------------------------------------------------------------------------

    def ann(self, x: Tensor) -> Tensor:
        """The ANN's outputs ``[n, classes]``: ReLU after every layer but the last."""
        x = x / self.unit
        for layer, weight in zip(self.layers[:-1], self.weights, strict=False):
            x = layer.sum(x, weight).relu()
        return self.layers[-1].sum(x, self.weights[-1]).flatten(1)

    def forward(self, x: Tensor, form: str = "affine") -> Tensor:
        """U ``[n, classes]`` after the last step, in one of FORMS."""
        return self.run(x, form)[0]

    def run(
        self, x: Tensor, form: str = "affine", steps: int | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """U, and the spikes of every hidden layer, ``[T, n, *target]``; ``steps`` replaces T."""
        if form not in FORMS:
            raise InputError(
                f"form of a Q-STDB net must be one of {', '.join(FORMS)}, not {form!r}"
            )
        leaks = self.leak.clamp(0, 1)
        if form == "shift":
            leaks = torch.tensor([best_leak(float(leak)).value for leak in leaks.detach().double()])
        steps, spikes = steps or self.steps, list[Tensor]()
        for i, layer in enumerate(self.layers):
            weight = self._weight(i, form)
            if i == 0:
                maps = x.reshape(len(x), *layer.window.source)
                sums = self.pim(maps) if self.pim and form != "float" else layer.sum(maps, weight)
                currents = sums / self.unit
            elif i < len(self.layers) - 1:
                currents = layer.sum(spikes[-1], weight)
            else:  # sums commute: all steps' spikes at once
                every = [s.unflatten(0, (steps, len(x))) for s in spikes]
                return layer.sum(every[-1].sum(0), weight).flatten(1), every
            spikes.append(fire(currents, leaks[i], self.threshold[i], steps, held=i == 0))
        raise AssertionError("the last layer returns")

    def _weight(self, i: int, form: str) -> Tensor:
        w = self.weights[i]
        if form == "float":
            return w
        if form == "affine":
            return affine(w, self.bits)
        s = scale(w, self.bits)
        return w + (torch.round(w.detach() * s) / s - w.detach())

    @torch.no_grad()
    def clamp_(self) -> None:
        """Clamp leaks to 0..1 and keep thresholds above 0."""
        self.leak.clamp_(0, 1)
        self.threshold.clamp_(min=1e-3)

    # -- file ------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> Path:
        """Write the file whole or not at all: safetensors, JSON under ``spikeloop_qstdb``."""
        windows = [
            {
                "name": x.name,
                "channels": x.channels,
                **{key: getattr(x.window, key) for key in WINDOW},
            }
            for x in self.layers
        ]
        header = {
            "version": VERSION,
            "layers": windows,
            "bits": self.bits,
            "steps": self.steps,
            "unit": self.unit,
            "metadata": self.metadata,
            "pim": self.pim and {"params": self.pim.params.to_dict(), "tables": self.pim.tables},
        }
        tensors = {"leak": self.leak.detach(), "threshold": self.threshold.detach()}
        tensors |= {
            f"{x.name}.weights": w.detach().contiguous()
            for x, w in zip(self.layers, self.weights, strict=True)
        }
        return write_atomic(
            path, save(tensors, {"spikeloop_qstdb": json.dumps(header, sort_keys=True)})
        )

    @classmethod
    def load(cls, path: str | Path) -> "QstdbNet":
        """Read and check; InputError for anything but a sound file."""
        what = f"Q-STDB net {str(path)!r}"
        header, tensors = read_safetensors(
            path,
            what=what,
            key="spikeloop_qstdb",
            version=VERSION,
            writer="spikeloop.golden.rules.qstdb.net",
            framework="pt",
        )
        try:
            layers = [
                Layer(
                    name=x["name"],
                    channels=x["channels"],
                    window=PimWindow(**{key: tuple(x[key]) for key in WINDOW}),
                )
                for x in header["layers"]
            ]
            for x in layers:  # before a net of that size is made
                shape = tensors[f"{x.name}.weights"].shape
                if shape != x.weights_shape:
                    raise InputError(
                        f"weights of layer {x.name!r} of {what} must be of shape "
                        f"{x.weights_shape}, not {tuple(shape)}"
                    )
            pim = header["pim"] and PimParams.from_dict(header["pim"]["params"])
            net = cls(
                layers,
                bits=header["bits"],
                steps=header["steps"],
                unit=header["unit"],
                pim=pim,
                **(header["pim"]["tables"] if pim else {}),
            )
            net.metadata = header["metadata"]
            with torch.no_grad():
                for name, parameter in [
                    ("leak", net.leak),
                    ("threshold", net.threshold),
                    *((f"{x.name}.weights", w) for x, w in zip(layers, net.weights, strict=True)),
                ]:
                    if tensors[name].shape != parameter.shape or not tensors[name].isfinite().all():
                        raise InputError(
                            f"{name} of {what} must be finite and of shape "
                            f"{tuple(parameter.shape)}, not of shape {tuple(tensors[name].shape)}"
                        )
                    parameter.copy_(tensors[name])
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(f"graph of {what} must be complete, not without {error}") from None
        return net


def _pim_module(params: PimParams, layer: Layer, tables: dict[str, Any]) -> nn.Module:
    """The first layer in a macro."""
    window = layer.window
    if not window.kernel:
        return PimLinear(params, window.source[0], layer.channels, **tables)
    module: nn.Module = _PIM[len(window.kernel)](
        params,
        window.source,
        layer.channels,
        window.kernel,
        stride=window.stride,
        padding=window.padding,
        **tables,
    )
    return module


def checkpoint(name: str = "pim-mnist") -> QstdbNet:
    """A trained net that comes with the package (docs/qstdb.md): one of NAMES."""
    if name not in NAMES:
        raise InputError(f"checkpoint must be one of {', '.join(NAMES)}, not {name!r}")
    return QstdbNet.load(kept_files()[name])
