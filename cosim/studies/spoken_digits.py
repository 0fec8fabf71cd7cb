"""Spoken digits on recurrent neurons with a synaptic current: floats, rounded, trained on.

    python -m spikeloop.cosim.studies.spoken_digits FOLDER [--seed N]

A net of snnTorch, 78-100R-10 of RSynaptic and Synaptic, trains in floats. Its decays are chosen on
480 of the 2,400 training recordings, with seed 0; the net then trains on all of them. It is
imported at 16 bits, rounded to 8, 6 and 4 bits and scored, tuned in the chip's arithmetic for
TUNING epochs and scored again. At 8 bits its decays are also made of 1, 2 and 3 shifts. Nothing is
chosen on the 600 test recordings, and each net is scored on them once. A study that was stopped
goes on: every net is kept in FOLDER. docs/training.md has the table.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spikeloop.golden.data.digits import COEFFICIENTS, levels_of, load_digits, spikes_above
from spikeloop.golden.interchange.modules import read
from spikeloop.golden.nn.model import IntegerModel
from spikeloop.golden.quantize.scales import with_bits
from spikeloop.golden.quantize.states import decay_arrays
from spikeloop.golden.reference.integer import run
from spikeloop.pysim.common.files import write_atomic
from spikeloop.pysim.network.elements import Population
from spikeloop.pysim.network.graph import Network

__all__ = ["study", "with_terms"]

STEPS, LINES, HIDDEN, DIGITS = 28, 78, 100, 10
ALPHAS, BETAS = (0.6, 0.7, 0.8), (0.8, 0.9, 0.95)
BITS, TERMS, FINE = (8, 6, 4), (1, 2, 3), 16
EPOCHS, CHOOSING, TUNING = 30, 10, 6
BATCH, RATE, TUNING_RATE = 64, 3e-3, 1e-3
HELD_OUT = 480
LEVEL = 1 / 8
"""Threshold, as a share of what an input of 1 in every step makes of the membrane."""
Data = tuple[Tensor, Tensor]
"""Spikes float32 [sample, step, line] and labels."""


def study(folder: Path, seed: int = 0, tell: Callable[[str], None] = print) -> dict[str, Any]:
    """Accuracies in percent, by the name of the net: "float", "N rounded", "N trained",
    "N terms rounded", "N terms trained"; and the decays that were chosen."""
    folder.mkdir(parents=True, exist_ok=True)
    train, test = recordings()
    kept = folder / f"{seed}.json"
    rows: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}

    def score(key: str, right: float) -> None:
        rows[key] = round(100 * right, 2)
        write_atomic(kept, json.dumps(rows, indent=1).encode())
        tell(f"seed {seed}, {key}: {rows[key]:.2f} %")

    decays = chosen(folder / "decays.json", train, tell)
    net = Net(*decays)
    weights = folder / f"{seed}.pt"
    if weights.exists():
        net.load_state_dict(torch.load(weights, weights_only=True))
    else:
        fit(net, train, EPOCHS, RATE, seed, tell)
        torch.save(net.state_dict(), weights)
    if "float" not in rows:
        rows["decays"] = list(decays)
        score("float", accuracy(net, test))
    file = folder / f"{seed}-fine.safetensors"
    if not file.exists():
        read.import_module(
            net, (LINES,), steps=STEPS, bits=FINE, data=train[0][:200].numpy().astype(np.uint8)
        ).network.save(file)
    fine = Network.load(file)
    if "imported" not in rows:
        score("imported", integer_accuracy(fine, test))
    forms = {f"{bits}": with_bits(fine, bits) for bits in BITS}
    forms |= {f"{n} terms": with_bits(with_terms(fine, decays, n), BITS[0]) for n in TERMS}
    for number, (key, network) in enumerate(forms.items()):
        if f"{key} rounded" not in rows:
            score(f"{key} rounded", integer_accuracy(network, test))
        if f"{key} trained" in rows:
            continue
        model = IntegerModel(network)
        model.take_parameters(IntegerModel(fine))
        fit(model, train, TUNING, TUNING_RATE, 100 * seed + number, tell)
        tuned = model.to_network()
        tuned.save(folder / f"{seed}-{key.replace(' ', '-')}.safetensors")
        score(f"{key} trained", integer_accuracy(tuned, test))
    return rows


class Net(nn.Module):
    """Recurrent neurons with a current, and read-out neurons with one. Takes [sample, step, line],
    gives the spikes of the read-out, [sample, step, digit]."""

    def __init__(self, alpha: float, beta: float) -> None:
        snn: Any = import_module("snntorch")
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(LINES, HIDDEN), nn.Linear(HIDDEN, DIGITS)
        threshold = LEVEL / ((1 - alpha) * (1 - beta))
        self.hidden = snn.RSynaptic(
            alpha=alpha, beta=beta, threshold=threshold, linear_features=HIDDEN
        )
        self.out = snn.Synaptic(alpha=alpha, beta=beta, threshold=threshold)

    def forward(self, x: Tensor) -> Tensor:
        spk, syn, mem = self.hidden.init_rsynaptic()
        syn2, mem2 = self.out.init_synaptic()
        rows = []
        for step in range(x.shape[1]):
            spk, syn, mem = self.hidden(self.fc1(x[:, step]), spk, syn, mem)
            spk2, syn2, mem2 = self.out(self.fc2(spk), syn2, mem2)
            rows.append(spk2)
        return torch.stack(rows, 1)


def recordings() -> tuple[Data, Data]:
    """The recordings to train on and to test on."""
    data = load_digits()
    levels = levels_of(data.train, LINES // COEFFICIENTS)
    train, test = (
        torch.from_numpy(spikes_above(part, levels, STEPS)).float()
        for part in (data.train, data.test)
    )
    return (
        (train, torch.from_numpy(data.train_labels)),
        (test, torch.from_numpy(data.test_labels)),
    )


def chosen(file: Path, train: Data, tell: Callable[[str], None]) -> tuple[float, float]:
    """The decays of current and membrane with which most held-out recordings are right.

    Every pair is kept in ``file``. Of equals the first wins.
    """
    scores: dict[str, float] = json.loads(file.read_text()) if file.exists() else {}
    here, held = ((part[:-HELD_OUT] for part in train), (part[-HELD_OUT:] for part in train))
    (x, y), (x_held, y_held) = here, held
    for alpha in ALPHAS:
        for beta in BETAS:
            if f"{alpha} {beta}" in scores:
                continue
            net = Net(alpha, beta)
            fit(net, (x, y), CHOOSING, RATE, 0, lambda _: None)
            scores[f"{alpha} {beta}"] = round(100 * accuracy(net, (x_held, y_held)), 2)
            write_atomic(file, json.dumps(scores, indent=1).encode())
            tell(f"alpha {alpha}, beta {beta}: {scores[f'{alpha} {beta}']:.2f} % held out")
    best = max(scores, key=lambda key: scores[key])
    alpha, beta = map(float, best.split())
    return alpha, beta


def with_terms(network: Network, decays: tuple[float, float], terms: int) -> Network:
    """The network with each decay made of at most ``terms`` shifts; ``decays`` of current and
    membrane."""

    def changed(p: Population) -> Population:
        if not p.has_current:
            return p
        y, _ = decay_arrays("current_", [np.full(p.size, decays[0])], terms)
        v, _ = decay_arrays("leak_", [np.full(p.size, decays[1])], terms)
        return replace(p, k0=v.pop("leak_k0"), **v, **y)

    return replace(network, populations=tuple(changed(p) for p in network.populations))


def fit(
    net: nn.Module, data: Data, epochs: int, rate: float, seed: int, tell: Callable[[str], None]
) -> None:
    """Cross entropy of the read-out's spike counts."""
    torch.manual_seed(seed)
    if isinstance(net, Net):  # weights of this seed, whatever was drawn before
        for layer in (net.fc1, net.fc2, net.hidden.recurrent):
            layer.reset_parameters()
    x, y = data
    optimiser = torch.optim.Adam(net.parameters(), lr=rate)
    updates = epochs * -(-len(y) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, updates)
    for epoch in range(epochs):
        total = 0.0
        for batch in torch.randperm(len(y)).split(BATCH):
            loss = nn.functional.cross_entropy(net(x[batch]).sum(1), y[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += float(loss.detach()) * len(batch)
        tell(f"  epoch {epoch + 1} of {epochs}: loss {total / len(y):.4f}")


@torch.no_grad()
def accuracy(net: nn.Module, data: Data) -> float:
    x, y = data
    return float((net(x).sum(1).argmax(1) == y).float().mean())


def integer_accuracy(network: Network, data: Data) -> float:
    """What the integer reference answers."""
    x, y = data
    spikes = run(network, {"input": x.numpy().astype(np.uint8)}, membranes=False).spikes
    answers = spikes[network.output].sum(axis=1).argmax(axis=1)
    return float((answers == y.numpy()).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(
        json.dumps(study(given.folder, given.seed, lambda text: print(text, flush=True)), indent=1)
    )


if __name__ == "__main__":
    main()
