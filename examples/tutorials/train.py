"""Train the net of a tutorial on MNIST with plain snnTorch.

    python examples/tutorials/train.py 5 --data FOLDER -o build/tutorial5

Loss, optimiser and learning rate are those of the tutorial. FOLDER holds the four IDX files of
MNIST; without it, the 5,000 images of a package are taken. Control-C ends the training early and
keeps what was learned; ``--updates`` of the printed number gives the same net again. Written are
``weights.pt``, and of the test images ``x.npy`` (grey values 0..1, or frames of events) and
``y.npy`` (labels).

N-MNIST, the data of tutorial 7, needs a download. Its events come from a camera that moves in front
of MNIST's images. :func:`events_of` moves them in the same way.
"""

import argparse
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from nets import make
from snntorch import functional as SF
from snntorch import utils
from torch import nn

from spikeloop import load_mnist

SIDE = 34  # pixels of N-MNIST's camera
CORNERS = ((0, 3), (6, 6), (6, 0), (0, 3))  # three saccades, in pixels from the top left
MOVES = 6  # steps of a saccade
CONTRAST = 0.3  # change of brightness that makes an event
STEPS = {6: 25, 7: MOVES * (len(CORNERS) - 1)}
RATE = {5: 5e-4, 6: 1e-2, 7: 2e-2}


def events_of(images: torch.Tensor) -> torch.Tensor:
    """Frames ``[sample, step, 2, 34, 34]`` of ON and OFF events, of grey ``[sample, 784]``."""
    places = [
        tuple(round(a + (b - a) * k / MOVES) for a, b in zip(start, end, strict=True))
        for start, end in pairwise(CORNERS)
        for k in range(MOVES)
    ]
    room = SIDE - 28
    views = [
        nn.functional.pad(images.view(-1, 28, 28), (x, room - x, y, room - y))
        for y, x in [*places, CORNERS[-1]]
    ]
    change = torch.stack([after - before for before, after in pairwise(views)], dim=1)
    return torch.stack([change > CONTRAST, change < -CONTRAST], dim=2).float()


def run(number: int, net: nn.Module, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Spikes and membranes of the output, ``[step, sample, 10]``, of grey ``[sample, 784]``."""
    if number == 5:
        return net(images)
    utils.reset(net)
    grey = images.view(-1, 1, 28, 28)
    frames = events_of(images) if number == 7 else grey.unsqueeze(1).expand(-1, STEPS[6], 1, 28, 28)
    outputs = [net(frames[:, step]) for step in range(STEPS[number])]
    spikes, membranes = zip(*outputs, strict=True)
    return torch.stack(spikes), torch.stack(membranes)


def loss_of(
    number: int, spikes: torch.Tensor, membranes: torch.Tensor, y: torch.Tensor
) -> torch.Tensor:
    if number == 5:  # cross entropy of the membranes, summed over the steps
        return sum(nn.functional.cross_entropy(membrane, y) for membrane in membranes)
    if number == 6:
        return SF.ce_rate_loss()(spikes, y)
    return SF.mse_count_loss(correct_rate=0.8, incorrect_rate=0.2)(spikes, y)


def accuracy(number: int, net: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """Share of the samples whose label spikes most."""
    with torch.no_grad():
        parts = [run(number, net, part)[0].sum(dim=0).argmax(dim=1) for part in x.split(200)]
    return float((torch.cat(parts) == y).float().mean())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("tutorial", type=int, choices=(5, 6, 7))
    parser.add_argument("--data", type=Path, help="folder of MNIST's IDX files")
    parser.add_argument("--test", type=int, default=1000, help="test images")
    parser.add_argument("--updates", type=int, default=469, help="469 of 128: all images once")
    parser.add_argument("--batch", type=int, default=128, help="images of an update")
    parser.add_argument("--first", type=int, help="neurons or channels of the first layer")
    parser.add_argument("--second", type=int, help="channels of the second layer")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    number = options.tutorial

    torch.manual_seed(0)
    data = load_mnist(options.data)
    x = torch.tensor(data.train_images / 255, dtype=torch.float32)
    y = torch.tensor(data.train_labels)
    x_test = torch.tensor(data.test_images[: options.test] / 255, dtype=torch.float32)
    y_test = torch.tensor(data.test_labels[: options.test])

    net = make(number, options.first, options.second)
    optimiser = torch.optim.Adam(net.parameters(), lr=RATE[number], betas=(0.9, 0.999))
    start = time.monotonic()
    updates = 0
    try:
        while updates < options.updates:
            for batch in torch.randperm(len(x)).split(options.batch)[: options.updates - updates]:
                loss = loss_of(number, *run(number, net, x[batch]), y[batch])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                updates += 1
                if updates % 10 == 0:
                    seconds = time.monotonic() - start
                    print(f"update {updates}: loss {loss.item():.3f}, {seconds:.0f} s", flush=True)
    except KeyboardInterrupt:
        print("interrupted")
    print(f"{updates} updates of {options.batch} images")

    options.output.mkdir(parents=True, exist_ok=True)
    torch.save(net.state_dict(), options.output / "weights.pt")
    inputs = events_of(x_test).to(torch.uint8) if number == 7 else x_test
    np.save(options.output / "x.npy", inputs.numpy())
    np.save(options.output / "y.npy", y_test.numpy())
    print(f"accuracy on {len(y_test):,} test images: {accuracy(number, net, x_test, y_test):.2%}")


if __name__ == "__main__":
    main()
