"""Train a recurrent net on spoken digits with plain snnTorch.

    pip install -e '.[digits]'
    python examples/digits/train.py -o build/digits

Written are ``weights.pt``, and of the 600 test recordings ``x.npy`` (spikes) and ``y.npy``
(labels).
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from net import LINES, Net
from torch import nn

from spikeloop.golden.data.digits import COEFFICIENTS, levels_of, load_digits, spikes_above

STEPS = 28  # 95 % of the recordings have fewer frames


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--hidden", type=int, default=100)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()

    data = load_digits()
    levels = levels_of(data.train, LINES // COEFFICIENTS)
    x_train, x_test = (
        torch.tensor(spikes_above(part, levels, STEPS)) for part in (data.train, data.test)
    )
    y_train, y_test = torch.tensor(data.train_labels), torch.tensor(data.test_labels)

    torch.manual_seed(0)
    net = Net(options.hidden)
    optimiser = torch.optim.Adam(net.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, options.epochs)
    for epoch in range(options.epochs):
        for batch in torch.randperm(len(y_train)).split(64):
            counts = net(x_train[batch].transpose(0, 1).float()).sum(dim=0)
            loss = nn.functional.cross_entropy(counts, y_train[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        schedule.step()
        print(f"epoch {epoch + 1}: loss {loss.item():.3f}", flush=True)
    with torch.no_grad():
        answers = net(x_test.transpose(0, 1).float()).sum(dim=0).argmax(dim=1)

    options.output.mkdir(parents=True, exist_ok=True)
    torch.save(net.state_dict(), options.output / "weights.pt")
    np.save(options.output / "x.npy", x_test.numpy())
    np.save(options.output / "y.npy", y_test.numpy())
    right = float((answers == y_test).float().mean())
    print(f"accuracy on {len(y_test)} test recordings: {right:.2%}")


if __name__ == "__main__":
    main()
