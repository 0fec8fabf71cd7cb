"""BPSA and BPTA: backpropagation with spatial and temporal adjustment (Shen et al. 2022).

    I[t] = max(BN(sum_j w_ij o_j[t]), 0)         "Conv-BN-ReLU-LIF": the current is rectified
    u[t] = lambda u[t-1] (1 - o[t-1]) + I[t]     Eq 4: a spike resets to 0 at once
    o[t] = 1 if u[t] > u_th
    BPSA:  do[t]/du[t] = 1 / u[t] where o[t] = 1, else 0                    Eq 9
    BPTA:  du[t+1]/du[t] = lambda ((1 - o[t]) + alpha do[t]/du[t])          Eq 10 without its factor
                                                                            do[t+1]/du[t+1]
    loss = |y - (mean of o over time and each class's neurons)|^2           Eq 5, "10Voting"
    energy efficiency = E_ANN / E_SNN = E_MAC / (E_AC T rate)               Eq 1, Table 5

Eq 1 sets a floating MAC against an integer addition. Defaults are u_th 0.5, lambda 0.9, alpha 0.2,
T 16. Pooling takes the maximum, which for spikes is their OR. Every layer except the pools has
batch norm and rectifier. In the authors' code (Brain-Cog-Lab/BP-STA) fully connected layers have
biases in place of norms, and the last one has no rectifier; a ``bare`` net is like that.

The first layer takes spikes, or grey values as a constant current, as theirs does. On the chip a
grey value of p bits is p lines (encoder ``bit_planes``), of which line i has 2^i times the weight.
:meth:`BpsaNet.to_network` folds the norm of inference into integers:

    W' = W gamma / sigma,  b' = beta - mu gamma / sigma
    I -> round(s W') x + round(s b'),   u > u_th -> v_th = floor(s u_th) + 1

Each map or neuron has a scale s, with which its largest weight takes all bits. Behind grey values
of p bits, bias and threshold have the scale (2^p - 1) s, as a white pixel spikes on all p lines. A
positive scale passes through rectifier, leak and threshold. lambda 0.9 becomes 1 - 2^-3 + 2^-5 -
2^-7 = 0.8984 (error 0.0016). On the chip one read-out neuron for each class counts the votes: its
last membrane is the number of its group's spikes.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spikeloop.golden.data.encoders import plane_weights
from spikeloop.golden.quantize.layer import per_neuron
from spikeloop.golden.quantize.leak import (
    best_leak,
    integer_threshold,
    leak_arrays,
    round_half_away,
)
from spikeloop.golden.rules.ecc.net import fold_batch_norm
from spikeloop.golden.rules.structure import Layer
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.elements import Edge, Input, Population, WeightFormat
from spikeloop.pysim.network.graph import Network, start_ticks

__all__ = ["ALPHA", "LAMBDA", "U_TH", "BpsaNet", "adjusted_lif", "energy_efficiency"]

U_TH, LAMBDA, ALPHA = 0.5, 0.9, 0.2
# pJ of a floating-point multiply-accumulate and of an integer addition. The paper does not print
# them, but Table 5 follows from them.
MAC, AC = 4.6, 0.1
MEMBRANE_BITS = 24
LARGEST = 2.0**16  # largest scale: the norm of a dead map may be almost 0


def energy_efficiency(rate: float, steps: int = 16) -> float:
    """E_ANN / E_SNN of a net whose neurons spike ``rate`` times per step."""
    return MAC / (AC * steps * rate)


class _AdjustedLif(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, current: Tensor, leak: float, alpha: float) -> Tensor:
        carried = torch.zeros_like(current[0])  # lambda u (1 - o) of the step before
        membranes, spikes = torch.empty_like(current), torch.empty_like(current)
        for t, (u, o) in enumerate(zip(membranes, spikes, strict=True)):
            torch.add(current[t], carried, out=u)
            torch.gt(u, U_TH, out=o)
            torch.addcmul(u, u, o, value=-1, out=carried).mul_(leak)
        ctx.save_for_backward(membranes, spikes)
        ctx.leak, ctx.alpha = leak, alpha
        return spikes

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        membranes, spikes = ctx.saved_tensors
        du = torch.empty_like(membranes)
        for t in reversed(range(len(du))):
            # 1 / u where there is a spike, so that u > u_th
            slope = spikes[t] / membranes[t].clamp(min=U_TH)
            torch.mul(grads[0][t], slope, out=du[t])
            if t < len(du) - 1:
                through = slope.mul_(ctx.alpha).add_(1).sub_(spikes[t])
                du[t].addcmul_(du[t + 1], through, value=ctx.leak)
        return du, None, None


def adjusted_lif(current: Tensor, leak: float = LAMBDA, alpha: float = ALPHA) -> Tensor:
    """Spikes ``[T, ...]`` of currents ``[T, ...]``; the gradient is Eqs 9 and 10."""
    return _AdjustedLif.apply(current, leak, alpha)


class BpsaLayer(nn.Module):
    """Weights, batch norm over samples, steps and places, rectifier, neurons.

    norm:    of a fully connected layer; without it there is a bias for each neuron. A convolution
             always has the norm.
    rectify: the currents.
    """

    def __init__(self, layer: Layer, *, norm: bool = True, rectify: bool = True) -> None:
        super().__init__()
        self.conv, size, self.rectify = layer.conv, layer.size, rectify
        shape = layer.conv.weights_shape if layer.conv else (size, layer.inputs)
        self.weight = nn.Parameter(torch.empty(shape))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # PyTorch's own, as in the paper
        self.norm: nn.BatchNorm1d | nn.BatchNorm2d | None = None
        if layer.conv:
            self.norm = nn.BatchNorm2d(layer.conv.target[0])
        elif norm:
            self.norm = nn.BatchNorm1d(size)
        else:
            self.bias = nn.Parameter(torch.zeros(size))

    def forward(self, x: Tensor, held: int = 1) -> Tensor:
        """Spikes ``[T held, B, size]`` of ``[T, B, inputs]``; T must be 1 if ``held`` is not."""
        flat = x.flatten(0, 1)
        if self.conv:
            current = F.conv2d(
                flat.view(-1, *self.conv.source), self.weight, stride=self.conv.stride
            )
        else:
            current = flat @ self.weight.T
        current = self.norm(current) if self.norm else current + self.bias
        current = (F.relu(current) if self.rectify else current).view(*x.shape[:2], -1)
        return adjusted_lif(current if held == 1 else current.expand(held, -1, -1))

    @torch.no_grad()
    def folded(self, bits: int, unit: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Weights int32, shaped as the layer's; bias and v_th int64, one per map or neuron.

        unit: 2^p - 1 behind grey values of p bits, 1 behind spikes.
        """
        weight = self.weight.double().numpy()
        if self.norm:
            norm = self.norm
            assert norm.running_mean is not None and norm.running_var is not None
            gamma, beta, mean, var = (
                part.double().numpy()
                for part in (norm.weight, norm.bias, norm.running_mean, norm.running_var)
            )
            bias = np.zeros_like(beta)
            weight, bias = fold_batch_norm(weight, bias, gamma, beta, mean, var, norm.eps)
        else:
            bias = self.bias.double().numpy()
        flat = weight.reshape(len(weight), -1)
        largest = np.maximum(np.abs(flat).max(1), 1e-30)
        scale = np.minimum(((1 << (bits - 1)) - 1) / largest, LARGEST)
        weights = round_half_away(flat * scale[:, None]).astype(np.int32).reshape(weight.shape)
        limit = 1 << (MEMBRANE_BITS - 1)
        v_th = [
            integer_threshold(U_TH * s * unit, strict=True, membrane_bits=MEMBRANE_BITS)
            for s in scale
        ]
        bias = round_half_away(bias * scale * unit).clip(-limit, limit - 1)
        return weights, bias, np.array(v_th, np.int64)


class BpsaNet(nn.Module):
    """Layers of golden.rules.structure; ``metadata`` is free JSON.

    planes: bits of a pixel, 1..8, for a net of grey values; 0 for one of spikes.
    bare:   fully connected layers have no norm, the last one no rectifier.

    The last layer has a group of neurons for each of ``classes``, all of one size. InputError if
    its size does not allow that, and for grey values into a pool, whose OR takes spikes.
    """

    def __init__(
        self, layers: Sequence[Layer], classes: int = 10, *, planes: int = 0, bare: bool = False
    ) -> None:
        super().__init__()
        if layers[-1].size % classes:
            raise InputError(
                f"last layer of a net that votes must have as many neurons for each of {classes} "
                f"classes, not {layers[-1].size} in all"
            )
        if planes and layers[0].pool:
            raise InputError("first layer of a net of grey values must have weights, not be a pool")
        self.structure, self.classes, self.planes = tuple(layers), classes, planes
        self.metadata: dict[str, Any] = {}
        self.layers = nn.ModuleList(
            nn.Identity()
            if layer.pool
            else BpsaLayer(layer, norm=not bare, rectify=not bare or layer is not layers[-1])
            for layer in layers
        )

    def forward(self, x: Tensor, held: int = 1) -> list[Tensor]:
        """Spikes ``[T, B, size]`` of every layer, also of pools.

        x: spikes ``[T, B, inputs]``, or grey values ``[1, B, inputs]`` that last ``held`` = T
           steps.
        """
        every = []
        for layer, module in zip(self.structure, self.layers, strict=True):
            if layer.pool:
                assert layer.conv
                maps = x.reshape(-1, *layer.conv.source)
                x = F.max_pool2d(maps, layer.conv.kernel, layer.conv.stride).view(*x.shape[:2], -1)
            else:
                x = module(x, held)
                held = 1
            every.append(x)
        return every

    def votes(self, spikes: Tensor) -> Tensor:
        """Mean output of each class, ``[B, classes]``, of the last layer's ``[T, B, size]``."""
        return spikes.mean(0).view(spikes.shape[1], self.classes, -1).mean(2)

    def to_network(self, steps: int, *, bits: int = 8, name: str = "bpsa") -> Network:
        """The integer network for samples of ``steps``, with the norm's running statistics.

        bits: of a weight; in a first layer behind grey values, of a whole pixel's.
        """
        names = [
            f"{'pool' if layer.pool else 'hidden'}{i}"
            for i, layer in enumerate(self.structure[:-1], 1)
        ]
        names += ["output", "vote"]
        chain = list(pairwise(["input", *names]))
        starts = start_ticks(names, [(*pair, 0) for pair in chain])
        leak = best_leak(LAMBDA)
        k0, sign, shift = leak_arrays([leak])
        populations, edges = [], []
        for layer, module, (source, target) in zip(
            self.structure, self.layers, chain, strict=False
        ):
            conv, planes = layer.conv, self.planes if source == "input" else 0
            if isinstance(module, BpsaLayer):
                weights, bias, v_th = module.folded(bits, (1 << planes) - 1 if planes else 1)
                populations.append(
                    Population.make(
                        target,
                        layer.size,
                        start=starts[target],
                        weight_bits=bits + max(planes - 1, 0),
                        bias=per_neuron(bias, conv),
                        v_th=per_neuron(v_th, conv),
                        rectify=module.rectify,
                        k0=k0,
                        leak_sign=sign,
                        leak_shift=shift,
                    )
                )
                weights = weights if conv else np.ascontiguousarray(weights.T)
                if planes:
                    weights = plane_weights(weights, planes, axis=1 if conv else 0)
                    conv = conv and replace(
                        conv, source=(planes * conv.source[0], *conv.source[1:])
                    )
            else:  # an OR: no memory, and one spike is enough
                assert conv
                populations.append(
                    Population.make(
                        target,
                        layer.size,
                        start=starts[target],
                        weight_bits=1,
                        k0=False,
                        weight_format=WeightFormat.BINARY,
                    )
                )
                weights = np.ones(conv.weights_shape, np.int32)
            edges.append(Edge(source=source, target=target, weights=weights, conv=conv))
        populations.append(
            Population.make(
                "vote",
                self.classes,
                start=starts["vote"],
                weight_bits=1,
                weight_format=WeightFormat.BINARY,
                fire=False,
            )
        )
        groups = np.eye(self.classes, dtype=np.int32).repeat(
            self.structure[-1].size // self.classes, 0
        )
        edges.append(Edge(source="output", target="vote", weights=groups))
        return Network(
            name=name,
            inputs=(Input(name="input", size=self.structure[0].inputs * max(self.planes, 1)),),
            populations=tuple(populations),
            edges=tuple(edges),
            steps=steps,
            output="vote",
            readout="membrane",
            membrane_bits=MEMBRANE_BITS,
            metadata={**self.metadata, "bits": bits, "leak": leak.value, "leak_error": leak.error},
        )
