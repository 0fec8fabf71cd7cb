"""The nets of snnTorch's tutorials 5, 6 and 7, as their user writes them: plain snnTorch.

    tutorial 5  784-1000-10, beta 0.95, 25 steps inside forward, the same grey image in each
    tutorial 6  12C5-MP2-64C5-MP2-10, beta 0.5, one step a call, the same grey image in each
    tutorial 7  12C5-MP2-32C5-MP2-10, beta 0.5, one step a call, frames of ON and OFF events

The pools of tutorials 6 and 7 stand behind the neurons. The tutorials pool the currents in front of
them, and the largest of several currents is no sum of spikes times weights.

``tutorial5()``, ``tutorial6()`` and ``tutorial7()`` make the nets with the weights that train.py
left in ``build/tutorialN/weights.pt``.
"""

import snntorch as snn
import torch
from snntorch import surrogate
from torch import nn


class Tutorial5(nn.Module):
    def __init__(self, hidden: int = 1000, steps: int = 25, beta: float = 0.95) -> None:
        super().__init__()
        self.steps = steps
        self.fc1 = nn.Linear(28 * 28, hidden)
        self.lif1 = snn.Leaky(beta=beta)
        self.fc2 = nn.Linear(hidden, 10)
        self.lif2 = snn.Leaky(beta=beta)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mem1 = self.lif1.init_leaky()
        mem2 = self.lif2.init_leaky()
        spk2_rec = []
        mem2_rec = []
        for _ in range(self.steps):
            cur1 = self.fc1(x)
            spk1, mem1 = self.lif1(cur1, mem1)
            cur2 = self.fc2(spk1)
            spk2, mem2 = self.lif2(cur2, mem2)
            spk2_rec.append(spk2)
            mem2_rec.append(mem2)
        return torch.stack(spk2_rec, dim=0), torch.stack(mem2_rec, dim=0)


def convolutional(
    channels: int, side: int, first: int, second: int, spike_grad: object
) -> nn.Sequential:
    """``first``C5-MP2-``second``C5-MP2-10 on ``side`` x ``side`` pixels."""
    small = ((side - 4) // 2 - 4) // 2
    return nn.Sequential(
        nn.Conv2d(channels, first, 5),
        snn.Leaky(beta=0.5, spike_grad=spike_grad, init_hidden=True),
        nn.MaxPool2d(2),
        nn.Conv2d(first, second, 5),
        snn.Leaky(beta=0.5, spike_grad=spike_grad, init_hidden=True),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(second * small * small, 10),
        snn.Leaky(beta=0.5, spike_grad=spike_grad, init_hidden=True, output=True),
    )


def make(number: int, first: int | None = None, second: int | None = None) -> nn.Module:
    """Net of tutorial ``number``, untrained. ``first`` and ``second`` make its layers smaller."""
    if number == 5:
        return Tutorial5(first or 1000)
    if number == 6:
        return convolutional(1, 28, first or 12, second or 64, surrogate.fast_sigmoid(slope=25))
    return convolutional(2, 34, first or 12, second or 32, surrogate.atan())


def trained(number: int) -> nn.Module:
    """Net of tutorial ``number`` with the weights of train.py, as wide as they are."""
    weights = torch.load(f"build/tutorial{number}/weights.pt", weights_only=True)
    widths = [len(values) for name, values in weights.items() if name.endswith("bias")]
    net = make(number, *widths[:-1])
    net.load_state_dict(weights)
    return net


def tutorial5() -> nn.Module:
    return trained(5)


def tutorial6() -> nn.Module:
    return trained(6)


def tutorial7() -> nn.Module:
    return trained(7)
