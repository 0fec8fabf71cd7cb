"""A Q-STDB net as integers: its layers as the chip has them, and a run of them.

    weights  round(s w), one scale s per layer
    theta    round(v s)
    leak     the best sum of k0 and up to three shifts +-2^-m
    u[t] = L(u[t-1]) + I[t],  o = 1 if u > theta, then u -= theta o

In terms of docs/arithmetic.md v_th = theta + 1 and v_sub = theta. theta is in units of the layer's
current: 1 / s. For the first layer the unit is 1 / (s unit) or, in a macro, 2^shift / (s unit).

Shifts round toward zero. Trained leaks are close to 1, and the floor of a small negative membrane,
-1 at any shift, would push it up in every step.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from spikeloop.golden.nets.pim_layers import scale
from spikeloop.golden.quantize.leak import Leak, best_leak
from spikeloop.golden.reference.pim import run
from spikeloop.golden.rules.qstdb.net import QstdbNet

__all__ = ["IntegerLayer", "classes", "integers", "run_integers"]


@dataclass(frozen=True, kw_only=True, eq=False)
class IntegerLayer:
    """One layer on the chip.

    weights:         int64, shaped as the net's.
    threshold, leak: theta and the shifts; the last layer uses neither.
    """

    weights: np.ndarray
    threshold: int = 1
    leak: Leak = field(default_factory=lambda: Leak(True, (), 0.0))


def integers(net: QstdbNet) -> list[IntegerLayer]:
    """Every layer as the chip has it."""
    layers = []
    for i, weight in enumerate(net.weights):
        s = scale(weight, net.bits)
        weights = torch.round(weight.detach().double() * s).long().numpy()
        if i == len(net.layers) - 1:
            layers.append(IntegerLayer(weights=weights))
            break
        per_unit = s
        if i == 0:
            per_unit *= net.unit / (2.0 ** net.pim.layer().shift if net.pim else 1)
        theta = round(float(net.threshold[i].detach()) * per_unit)
        leak = best_leak(float(net.leak[i].detach().clamp(0, 1)))
        layers.append(IntegerLayer(weights=weights, threshold=max(theta, 1), leak=leak))
    return layers


@torch.inference_mode()
def run_integers(
    net: QstdbNet, x: np.ndarray, streams: np.ndarray | None = None
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Output membranes int64 ``[n, classes]`` and the spikes of every hidden layer.

    The spikes are uint8 ``[n, T, neurons]``. Maps may have any number of dimensions. Sums run in
    float64, which holds them exactly. No membrane is clipped to the chip's 24 bits; the network
    counts where one would be.

    x:       pixels int ``[n, ...]``.
    streams: of each image's noise in the macro, default 0.
    """
    *hidden, last = integers(net)
    spikes, every = list[Tensor](), list[np.ndarray]()
    for i, integer in enumerate(hidden):
        layer, weight = net.layers[i], torch.from_numpy(integer.weights).double()
        if i == 0:
            currents = [_first(net, x, weight, streams)] * net.steps
        else:
            currents = [layer.sum(s.double(), weight).long() for s in spikes]
        u, spikes = torch.zeros_like(currents[0]), []
        for current in currents:
            size, leaked = u.abs(), integer.leak.k0 * u
            for sign, shift in integer.leak.terms:
                leaked = leaked + sign * u.sign() * (size >> shift)
            u = leaked + current
            o = u > integer.threshold
            u = u - integer.threshold * o
            spikes.append(o)
        every.append(torch.stack(spikes, 1).flatten(2).to(torch.uint8).numpy())
    total = torch.stack(spikes).sum(0).double()
    outputs = net.layers[-1].sum(total, torch.from_numpy(last.weights).double())
    return outputs.flatten(1).long().numpy(), every


def classes(
    net: QstdbNet, images: np.ndarray, streams: np.ndarray | None = None, *, batch: int = 250
) -> np.ndarray:
    """Classes int64 ``[n]`` of images, ``batch`` of them at once.

    The other arguments are those of :func:`run_integers`.
    """
    answers = []
    for at in range(0, len(images), batch):
        part = slice(at, at + batch)
        outputs, _ = run_integers(net, images[part], None if streams is None else streams[part])
        answers.append(outputs.argmax(1))
    return np.concatenate(answers)


def _first(net: QstdbNet, x: np.ndarray, weight: Tensor, streams: np.ndarray | None) -> Tensor:
    """Current of the first layer, int64 ``[n, *target]``."""
    if net.pim is None:
        return net.layers[0].sum(torch.from_numpy(x.astype(np.float64)), weight).long()
    maps = x.reshape(len(x), *net.layers[0].window.source)
    currents = run(net.pim.layer(), maps, streams, codes=False).currents
    return torch.from_numpy(currents).view(len(x), *net.layers[0].target)
