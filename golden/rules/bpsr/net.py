"""BPSR: backpropagation with sparsity regularisation (Yan et al. 2022), the net and its gradient.

    u_i[t] = tau_i u_i[t-1] (1 - s_i[t-1]) + sum_j w_ij x_j[t] + sum_k w_ik s_k[t-1] + b_i      Eq 1
    s_i[t] = 1 if u_i[t] >= U_th                                                                Eq 2
    L = cross entropy(softmax(k sum_t s[t])) + lambda_s / 2 sum over hidden i, t of s_i[t]^2
        + lambda_w sum |w|,   k = 10 / T                                                   Eqs 4, 5

    dL/ds_i[t] = (sum over the next layer of dL/dx) + lambda_s s_i[t]                           Eq 6
    dL/du_i[t] = (dL/ds_i[t] + sum_k dL/du_k[t+1] w_ki) g'(u_i[t] - U_th)
                 + dL/du_i[t+1] tau_i (1 - s_i[t])                                        Eqs 7, 12
    dL/dx_j[t] = sum_i dL/du_i[t] w_ij                                                Eqs 8-11, 13
    dL/dw_ij   = sum_t dL/du_i[t] x_j[t] + lambda_w sign(w_ij)
    dL/dw_ik   = the same with s_k[t-1] for x_j[t]
    dL/db_i    = sum_t dL/du_i[t]
    dL/dtau_i  = sum_t dL/du_i[t] u_i[t-1] (1 - s_i[t-1])

The neuron, forward and backward written by hand, is golden.nets.neurons.lif. Convolutions have no
padding and may have a stride. Each of their maps has one bias; one tau serves them all
(homogeneous). Each neuron of the other layers has a tau of its own (heterogeneous). Rewiring is
golden/rules/bpsr/rewiring.py, training is golden/rules/bpsr/train.py, and
golden/quantize/quantize.py makes the integer network.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spikeloop.golden.nets.layers import GAIN, LayeredNet
from spikeloop.golden.nets.neurons import U_TH, lif
from spikeloop.golden.rules.bpsr.rewiring import Rewiring, RewiringConfig, distances
from spikeloop.golden.rules.structure import Layer

__all__ = ["BpsrLayer", "BpsrNet"]


class BpsrLayer(nn.Module):
    """One layer.

    weight:    ``[maps, maps before, kernel, kernel]`` or ``[inputs, size]``.
    recurrent: ``[size, size]`` or None.
    rewiring:  one for each weight array, if the layer is rewired.
    """

    def __init__(self, layer: Layer, rewiring: RewiringConfig | None) -> None:
        super().__init__()
        self.layer, self.conv = layer, layer.conv
        shape = layer.conv.weights_shape if layer.conv else (layer.inputs, layer.size)
        fan_in = math.prod(shape[1:]) if layer.conv else layer.inputs
        self.weight = nn.Parameter(torch.randn(shape) * (GAIN / fan_in**0.5))
        self.recurrent = None
        if layer.recurrent:
            start = torch.randn(layer.size, layer.size) * (0.5 / layer.size**0.5)
            self.recurrent = nn.Parameter(start)
        self.bias = nn.Parameter(torch.zeros(shape[0] if layer.conv else layer.size))
        self.tau = nn.Parameter(torch.full((1,) if layer.conv else (layer.size,), 0.5))
        self.rewiring = nn.ModuleList()
        if rewiring:
            if layer.conv:
                apart = distances(shape[1], shape[0]).T[:, :, None, None]
            else:
                apart = distances(layer.inputs, layer.size)
            self.rewiring.append(Rewiring(self.weight, apart, rewiring))
            if self.recurrent is not None:
                apart = distances(layer.size, layer.size, same=True)
                self.rewiring.append(Rewiring(self.recurrent, apart, rewiring))

    @property
    def weights(self) -> list[nn.Parameter]:
        return [self.weight] if self.recurrent is None else [self.weight, self.recurrent]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Spikes and membranes before reset, ``[T, B, size]``, of spikes ``[T, B, inputs]``."""
        flat = x.flatten(0, 1)
        if self.conv:
            current = F.conv2d(
                flat.view(-1, *self.conv.source), self.weight, self.bias, self.conv.stride
            ).flatten(1)
        else:
            current = torch.addmm(self.bias, flat, self.weight)
        return lif(current.view(*x.shape[:2], -1), self.tau, self.recurrent)

    @property
    def synapses(self) -> int:
        """Number of synapses that are not pruned; a shared weight counts at each of its places."""
        places = math.prod(self.conv.target[1:]) if self.conv else 1
        return sum(places * int(weight.count_nonzero()) for weight in self.weights)

    @torch.no_grad()
    def clamp_(self) -> None:
        """Clamp weights and biases to -U_th..U_th, tau to 0..1."""
        for name, parameter in self.named_parameters():
            parameter.clamp_(0.0 if name == "tau" else -U_TH, U_TH)


class BpsrNet(LayeredNet):
    """Layers of golden.rules.structure; with ``rewiring`` every weight is pruned and grown.

    Initial values come from torch's generator.
    """

    layers: Sequence[BpsrLayer]

    def __init__(self, layers: Sequence[Layer], rewiring: RewiringConfig | None = None) -> None:
        super().__init__()
        self.sizes, self.metadata = (layers[0].inputs, *(layer.size for layer in layers)), {}
        self.layers = nn.ModuleList(BpsrLayer(layer, rewiring) for layer in layers)  # type: ignore[assignment]

    @property
    def synapses(self) -> int:
        """Number of synapses that are not pruned."""
        return sum(layer.synapses for layer in self.layers)

    @torch.no_grad()
    def before_update(self, weight_cost: float) -> None:
        """Between gradient and update: add lambda_w sign(w) (Eqs 9, 13), then rewire."""
        for layer in self.layers:
            for weight in layer.weights:
                assert weight.grad is not None
                weight.grad.add_(weight.sign(), alpha=weight_cost)
            for rewiring in layer.rewiring:
                rewiring.before()  # type: ignore[operator]

    @torch.no_grad()
    def after_update(self) -> None:
        """Clamp; pruned synapses stay pruned."""
        for layer in self.layers:
            layer.clamp_()
            for rewiring in layer.rewiring:
                rewiring.after()  # type: ignore[operator]

    def settle(self) -> None:
        """End of the training: remove every synapse weaker than Theta_w."""
        for layer in self.layers:
            for rewiring in layer.rewiring:
                rewiring.settle()  # type: ignore[operator]
