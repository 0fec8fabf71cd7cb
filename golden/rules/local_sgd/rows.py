"""What LoCal+SGD buys: trainings side by side, of several seeds, as one table (docs/rules.md).

    python -m spikeloop.golden.rules.local_sgd.rows --data FOLDER --out OUT
    python -m spikeloop.golden.rules.local_sgd.rows --data FOLDER --out OUT --held-out 5000
    python -m spikeloop.golden.rules.local_sgd.rows --data FOLDER --out OUT --unet

The first trains the rows of the page with three seeds and scores each net once on the test images.
The second trains the settings that were tried, with one seed, and scores them on training images
that are held out; the settings of the rows were chosen by it. The third trains some of the rows on
the small U-Net, whose score is the Dice coefficient (segment.py).

``OUT/rows.jsonl`` keeps every training, and one that was killed goes on after its last epoch.
Trainings of one seed follow one another, so that processor times compare what ran at about the same
time.
"""

import argparse
import hashlib
import json
import statistics
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from spikeloop.golden.data.datasets import Dataset, held_out, load_mnist
from spikeloop.golden.rules.local_sgd.segment import UNET, dice, train_unet
from spikeloop.golden.rules.local_sgd.train import BLOCKS, LocalConfig, float_accuracy, train_net
from spikeloop.golden.training.command import forget
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.journal import Rows

__all__ = ["ROWS", "TRIED", "measure", "table"]

STATIC = LocalConfig()
DYNAMIC = replace(STATIC, schedule="dynamic")
SGD = replace(STATIC, schedule="sgd")

ROWS = {
    "SGD": SGD,
    "static": STATIC,
    "dynamic": DYNAMIC,
    "static, those layers frozen": replace(STATIC, eta=0.0),
    "dynamic, local layers frozen": replace(DYNAMIC, eta=0.0),
    "static, no weak supervision": replace(STATIC, weak=False),
    "SGD, 10 of 12 epochs": replace(SGD, epochs=10),
}
OF_UNET = ("SGD", "static", "dynamic", "static, those layers frozen")
TRY = replace(STATIC, eta=1e-3, alpha=0.8)  # where the search began
TRIED = {
    "SGD": replace(TRY, schedule="sgd"),
    "quadratic, c1 0.8, c2 0.2": TRY,
    "the same, eta 0.01": replace(TRY, eta=1e-2),
    "the same, eta 0.0001": replace(TRY, eta=1e-4),
    "the same, z behind the batch norm": replace(TRY, normed=True),
    "quadratic, c1 0.6, c2 0.25": replace(TRY, c1=0.6, c2=0.25),
    "quadratic, c1 1, c2 0.1": replace(TRY, c1=1.0, c2=0.1),
    "linear, c1 0.8, c2 0.2": replace(TRY, schedule="linear"),
    "exponential, c1 0.8, c2 0.2": replace(TRY, schedule="exponential"),
    "dynamic, alpha 0.8, move 1": replace(TRY, schedule="dynamic"),
    "dynamic, alpha 0.5, move 1": replace(TRY, schedule="dynamic", alpha=0.5),
    "dynamic, alpha 0.8, move 2": replace(TRY, schedule="dynamic", move=2),
}


def measure(
    config: LocalConfig, data: Dataset, checkpoint: Path, unet: bool = False
) -> dict[str, Any]:
    """Train and score; JSON: ``score``, ``work`` (multiply-accumulates as a share of those of 12
    epochs of SGD), ``kept`` (bytes an image, mean of the epochs), ``seconds`` of processor time
    without the scoring, ``local`` and ``sign`` by epoch."""
    if unet:
        net, history = train_unet(config, data, checkpoint=checkpoint)
        score = dice(net, data)
    else:
        net, history = train_net(config, data, checkpoint=checkpoint)
        score = float_accuracy(net, data, config.planes)
    full = net.work(0, learns=True) * LocalConfig.epochs
    return {
        "score": score,
        "work": sum(epoch["macs"] for epoch in history) / full,
        "kept": statistics.mean(epoch["kept"] for epoch in history),
        "seconds": sum(epoch["seconds"] for epoch in history),
        "local": [epoch["local"] for epoch in history],
        "sign": [epoch["sign"] for epoch in history],
    }


def table(rows: dict[str, list[dict[str, Any]]]) -> str:
    """Markdown of the trainings of each row, one of each seed."""
    lines = [
        "| training | score, % | sd | work | CPU s | kept, kB | local blocks by epoch, seed 0 |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, runs in rows.items():
        scores = [100 * run["score"] for run in runs]
        mean = {
            key: statistics.mean(run[key] for run in runs) for key in ("work", "seconds", "kept")
        }
        spread = f"{statistics.stdev(scores):.2f}" if len(scores) > 1 else ""
        lines.append(
            f"| {name} | {statistics.mean(scores):.2f} | {spread} | {mean['work']:.3f} | "
            f"{mean['seconds']:.1f} | {mean['kept'] / 1000:.1f} | "
            f"{' '.join(map(str, runs[0]['local']))} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="LoCal+SGD beside SGD, frozen layers and others")
    parser.add_argument("--data", help="folder of the four MNIST IDX files")
    parser.add_argument("--held-out", type=int, help="score the last N training images")
    parser.add_argument("--unet", action="store_true", help="the small U-Net instead")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each row")
    parser.add_argument("--out", type=Path, required=True, help="folder of what was measured")
    given = parser.parse_args()
    rows = TRIED if given.held_out else ROWS
    if given.unet:
        rows = {name: row for name, row in rows.items() if name in OF_UNET}
    try:
        data = load_mnist(given.data)
        if given.held_out:
            data = held_out(data, given.held_out)
        known = Rows(given.out / "rows.jsonl", "LoCal+SGD")
        for seed in range(1 if given.held_out else given.seeds):
            for name, row in rows.items():
                config = replace(row, seed=seed)
                key = _key(config, data, given.unet)
                if key in known:
                    continue
                checkpoint = given.out / f"{hashlib.sha256(key.encode()).hexdigest()[:8]}.training"
                known.add(key, measure(config, data, checkpoint, given.unet))
                forget(checkpoint)
                print(f"{name}, seed {seed}: {known[key]}", flush=True)
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    seeds = range(1 if given.held_out else given.seeds)
    of_rows = {
        name: [known[_key(replace(row, seed=seed), data, given.unet)] for seed in seeds]
        for name, row in rows.items()
    }
    print(table(of_rows))


def _key(config: LocalConfig, data: Dataset, unet: bool) -> str:
    """What a training is known by: its settings, its images and its net."""
    blocks = [asdict(block) for block in (UNET if unet else BLOCKS)]
    return json.dumps([asdict(config), data.source, blocks], sort_keys=True)


if __name__ == "__main__":
    main()
