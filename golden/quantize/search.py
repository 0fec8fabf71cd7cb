"""Scales of the layers by what they cost: a coordinate search on samples.

    loss(scales) = mean over samples of the cross entropy of softmax(10 / T sum over t of s[t])

s are the output spikes of the integer network with these scales. The search begins with the scales
of least current error (golden/quantize/quantize.py), which look at no answer. Layer after layer
takes the scale of least loss among its own times FACTORS, while all others stay. It ends when no
other layer has changed since a layer's last turn, or after ROUNDS. No weight is trained.
"""

from collections.abc import Sequence

import numpy as np
import torch

from spikeloop.golden.quantize.quantize import Quantizer
from spikeloop.golden.reference.integer import run
from spikeloop.golden.training.train import spike_loss

__all__ = ["FACTORS", "search_scales"]

FACTORS = 2.0 ** (np.arange(-6, 7) / 12)  # 0.71..1.41 in steps of 6 %
ROUNDS = 3


def search_scales(quantizer: Quantizer, bits: Sequence[int]) -> list[float]:
    """The scale of each layer, for weights of ``bits``, on the quantizer's samples."""
    scales = [layer.scale for layer in quantizer.layers(bits)]
    labels, count = torch.from_numpy(quantizer.labels), len(scales)

    def loss(trial: Sequence[float]) -> float:
        network = quantizer.network(bits, scales=trial)
        spikes = run(network, quantizer.inputs, membranes=False).spikes[network.output]
        return float(spike_loss(torch.from_numpy(spikes.sum(1)).float(), network.steps, labels))

    least, settled = loss(scales), 0  # layers in turn that no other factor improves
    for turn in range(ROUNDS * count):
        i = turn % count
        trials = [[*scales[:i], scales[i] * f, *scales[i + 1 :]] for f in FACTORS if f != 1]
        losses = [loss(trial) for trial in trials]
        settled += 1
        if min(losses) < least:
            least, scales, settled = min(losses), trials[int(np.argmin(losses))], 1
        if settled == count:
            break
    return scales
