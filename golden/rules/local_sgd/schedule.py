"""When a block of LoCal+SGD becomes local: schedules, and the weak supervision of the local ones.

N is the number of local blocks in an epoch, L that of all blocks. N never falls. E counts epochs
from 0, e = E / (epochs - 1).

    quadratic    N = floor(c1 L (1 - ((1 - e) / (1 - c2))^2)) from e = c2 on, else 0        Eq 3
    linear       N = floor(c1 L (e - c2) / (1 - c2))                                        Eq 2
    exponential  N = floor(c1 L (exp(3 (e - c2) / (1 - c2)) - 1) / (exp(3) - 1))            Eq 4
    dynamic      u = mean over the epoch's updates of lr ||gradient|| of a block's weights
                 average <- 0.9 average + 0.1 u, at first u, for each block that is not local
                 N <- N + move if u <= alpha average in block N                        Algorithm 1
    sgd          N = 0

The printed Eqs 2 to 4 have c1 and c2 in other units, and loose signs. Here c1 is a share of the
depth and c2 a share of the epochs, as in the paper's section 3.5. It recommends alpha of 0.1 to
0.5, and says that it used 0.8 everywhere.

Weak supervision (Algorithm 2): updates of local blocks change their sign for an epoch if the mean
training loss of the epoch before was higher than that of the one before it.
"""

import math

import torch
from torch import Tensor, nn

__all__ = ["SCHEDULES", "STATIC", "Modes", "static"]

STATIC = ("quadratic", "linear", "exponential")
SCHEDULES = ("sgd", *STATIC, "dynamic")
KEEP = 0.9  # of the running average
STEEP = 3.0  # of the exponential schedule


def static(kind: str, epoch: int, epochs: int, layers: int, c1: float, c2: float) -> int:
    """N of a static schedule in ``epoch`` of ``epochs``.

    kind:   one of STATIC.
    layers: L. c1 in 0..1, c2 in 0..1 (1 excluded).
    """
    done = (epoch / max(epochs - 1, 1) - c2) / (1 - c2)  # share of the time from c2 on
    if done < 0:
        return 0
    if kind == "quadratic":
        share = 1 - (1 - done) ** 2
    elif kind == "linear":
        share = done
    else:
        share = math.expm1(STEEP * done) / math.expm1(STEEP)
    return math.floor(c1 * layers * share + 1e-9)  # 1e-9: for products just below a whole number


class Modes(nn.Module):
    """Which blocks are local now. The state is in buffers, so that checkpoints hold it.

    local:   N, int64.
    average: running average of ||update||, float64 ``[layers]``; not a number before the first.
    losses:  mean training losses of the last two epochs, float64 ``[2]``, the older first.
    """

    local: Tensor
    average: Tensor
    losses: Tensor

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.register_buffer("local", torch.zeros((), dtype=torch.int64))
        self.register_buffer("average", torch.full((layers,), math.nan, dtype=torch.float64))
        self.register_buffer("losses", torch.full((2,), math.nan, dtype=torch.float64))

    def sign(self) -> int:
        """Of the local updates in this epoch: -1 after a rise of the loss, else 1."""
        before, last = self.losses.tolist()
        return -1 if last > before else 1  # false while there are no two

    def end_epoch(self, loss: float) -> None:
        """Take note of the mean training loss of an epoch."""
        self.losses.copy_(torch.tensor([self.losses[1], loss]))

    def grow(self, layers: int) -> None:
        """N becomes at least ``layers``, at most all blocks."""
        self.local.fill_(min(max(int(self.local), layers), len(self.average)))

    def watch(self, updates: Tensor, alpha: float, move: int) -> None:
        """The end of an epoch of the dynamic schedule.

        updates: u of every block, float64 ``[layers]``; those of local blocks do not count.
        """
        n = int(self.local)
        if n == len(self.average):
            return
        old = self.average
        new = torch.where(old.isnan(), updates, KEEP * old + (1 - KEEP) * updates)
        self.average[n:] = new[n:]
        if updates[n] <= alpha * self.average[n]:
            self.grow(n + move)
