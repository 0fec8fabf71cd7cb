"""A recurrent net for spoken digits in plain snnTorch.

``net()`` makes it with the weights that train.py left in ``build/digits/weights.pt``.
"""

import snntorch as snn
import torch
from torch import nn

LINES = 78  # 13 coefficients, 6 levels each


class Net(nn.Module):
    def __init__(self, hidden: int = 100, beta: float = 0.875) -> None:
        super().__init__()
        self.fc1 = nn.Linear(LINES, hidden)
        self.lif1 = snn.RLeaky(beta=beta, linear_features=hidden)
        self.fc2 = nn.Linear(hidden, 10)
        self.lif2 = snn.Leaky(beta=beta)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Spikes ``[step, sample, 10]`` of spikes ``[step, sample, LINES]``."""
        spk1, mem1 = self.lif1.init_rleaky()
        mem2 = self.lif2.init_leaky()
        spk2_rec = []
        for step in range(x.shape[0]):
            spk1, mem1 = self.lif1(self.fc1(x[step]), spk1, mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spk2_rec.append(spk2)
        return torch.stack(spk2_rec)


def net() -> nn.Module:
    weights = torch.load("build/digits/weights.pt", weights_only=True)
    made = Net(hidden=len(weights["fc1.bias"]))
    made.load_state_dict(weights)
    return made
