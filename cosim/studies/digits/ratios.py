"""STDP on MNIST: three rules x four ratios of their scaling functions x seeds, one table.

    python -m spikeloop.cosim.studies.digits.ratios --data FOLDER [--out DIR]
        [--neurons 100] [--train 10000] [--label 5000] [--test 10000] [--seeds 3]

Each net gives test accuracy, generalisation gap (accuracy on the training images that labelled it,
less test accuracy) and the tail index of its weight changes over the last 600 training images
(golden/rules/stdp/index.py has the choices of the estimate). Below the table stand the rank
correlations of ratio, index and gap, with the sign that they have. Rows that ``--out`` keeps are
not run again.

c- is 0.3 and c+ the ratio times 0.3; noise of standard deviation 0.5; times 20 and 20 ms. mult has
the slope of log below its fixed point: c- / W0. Source: Chakraborty & Mukhopadhyay 2021, Table 2.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.cosim.digits.learner import open_core, train
from spikeloop.cosim.digits.study import Plan, score
from spikeloop.cosim.provenance import code
from spikeloop.golden.data.datasets import Dataset, load_mnist
from spikeloop.golden.rules.digits.layer import Layer, layer
from spikeloop.golden.rules.stdp.index import tail_index
from spikeloop.golden.rules.stdp.scaling import KINDS
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.journal import Rows

__all__ = ["PUBLISHED", "RATIOS", "measure", "ranks", "stdp_layer", "table"]

RATIOS = (2.1, 1.7, 1.2, 0.9)
MINUS, SIGMA = 0.3, 0.5
ETA = {"log": 0.05, "add": 0.01, "mult": 0.05}
"""Learning rates; add kills its neurons at 0.05."""
LAST = 600
"""Images whose weight changes give the index: the last iteration of the paper."""
PUBLISHED = {
    "log": ((1.352, 6.8, 89.92), (1.294, 6.2, 89.98), (1.209, 5.9, 89.79), (1.174, 5.7, 89.26)),
    "add": ((1.969, 9.7, 88.17), (1.911, 9.3, 88.12), (1.875, 8.9, 88.09), (1.799, 8.6, 88.10)),
    "mult": ((1.824, 8.1, 89.26), (1.797, 7.6, 89.15), (1.702, 7.0, 88.99), (1.633, 6.5, 88.87)),
}
"""Index, gap and test accuracy of Table 2, by ratio: 6,400 neurons, 60,000 images."""


def stdp_layer(kind: str, neurons: int, **changes: float) -> Layer:
    """A layer of log, add or mult with the constants of the study, and ``changes``."""
    values = {"eta": ETA[kind], "minus": MINUS, "sigma": SIGMA, **changes}
    if kind == "mult":
        values["minus"] /= values.get("w0", 0.5)
    return layer(kind, neurons, **values)


def measure(chosen: Layer, plan: Plan, data: Dataset) -> dict[str, float]:
    """Train, label and test one net; accuracy and gap in 0..1, and both tail indices."""
    plan.check(data)
    core, images = open_core(chosen, plan.seed, plan.bits), plan.parts(data)[0]
    tail = min(LAST, len(images))
    course = train(core, chosen, images[:-tail], plan.seed)
    changes = np.zeros((tail, *core.weights.shape), np.int32)
    before = core.weights.astype(np.int32)
    for n in range(tail):
        train(core, chosen, images[len(images) - tail + n :][:1], plan.seed, course)
        after = core.weights.astype(np.int32)
        changes[n], before = after - before, after
    found, labels = score(core, chosen, plan, data)
    return {
        "test": found.testing,
        "gap": found.labelling - found.testing,
        "index": tail_index(changes),
        "pooled": tail_index(changes, 50, pooled=True),
        "spikes": found.spikes,
        "silent": found.silent,
        "attempts": float(np.mean(course.attempts)),
        "labels": float(len(set(labels.tolist()) - {-1})),
    }


def ranks(rows: list[dict[str, Any]]) -> dict[str, dict[str, tuple[float, int]]]:
    """Spearman's rank correlations, by rule and of all: value and number of nets."""
    pairs = (("ratio", "index"), ("ratio", "gap"), ("ratio", "test"), ("index", "gap"))
    found: dict[str, dict[str, tuple[float, int]]] = {}
    for kind in (*KINDS, "all"):
        own = [row for row in rows if kind in (row["kind"], "all")]
        for a, b in pairs:
            points = np.array([(row[a], row[b]) for row in own], float).reshape(-1, 2)
            points = points[~np.isnan(points).any(1)]
            found.setdefault(kind, {})[f"{a}, {b}"] = (_spearman(points), len(points))
    return found


def _spearman(points: np.ndarray) -> float:
    """Correlation of the ranks, ties at their mean; nan without spread."""
    if len(points) < 3:
        return float("nan")
    columns = []
    for values in points.T:
        _, where, count = np.unique(values, return_inverse=True, return_counts=True)
        places: Any = np.cumsum(count) - (count - 1) / 2
        columns.append(places[where])
    if min(np.std(column) for column in columns) == 0:
        return float("nan")
    return float(np.corrcoef(columns)[0, 1])


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: means and standard deviations over the seeds, beside the published."""
    lines = [
        "| rule | c+/c- | index | gap, points | test, % | published: index, gap, test |",
        "|---|---|---|---|---|---|",
    ]
    for kind in KINDS:
        for ratio, known in zip(RATIOS, PUBLISHED[kind], strict=True):
            cell = [row for row in rows if row["kind"] == kind and row["ratio"] == ratio]
            if not cell:
                continue
            columns = [
                (np.array([row[name] for row in cell]) * unit, digits)
                for name, unit, digits in (("index", 1, 3), ("gap", 100, 1), ("test", 100, 1))
            ]
            text = " | ".join(f"{c.mean():.{n}f} ({c.std():.{n}f})" for c, n in columns)
            lines.append(
                f"| {kind} | {ratio} | {text} | {known[0]:.3f}, {known[1]:.1f}, {known[2]:.2f} |"
            )
    return "\n".join(lines)


def run(
    data: Dataset, plan: Plan, neurons: int, seeds: int, folder: Path, tell: Callable[[str], None]
) -> list[dict[str, Any]]:
    """All cells; those that the folder keeps are not run again."""
    journal = Rows(folder / "ratios.jsonl", (plan, neurons, data.source, code(__name__)))
    for seed in range(seeds):
        for kind in KINDS:
            for ratio in RATIOS:
                name = f"{kind} {ratio} seed {seed}"
                if name in journal:
                    continue
                chosen = stdp_layer(kind, neurons, plus=ratio * MINUS)
                row = measure(chosen, replace(plan, seed=seed), data)
                journal.add(name, {"kind": kind, "ratio": ratio, "seed": seed, **row})
                tell(f"{name}: " + ", ".join(f"{key} {value:.4g}" for key, value in row.items()))
    return journal.rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of MNIST's IDX files")
    parser.add_argument("--out", type=Path, default=Path("build/ratios"), help="folder of the rows")
    for name, default in (
        ("neurons", 100),
        ("train", 10_000),
        ("label", 5000),
        ("test", 10_000),
        ("seeds", 3),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    try:
        plan = Plan(train=given.train, label=given.label, test=given.test)
        rows = run(load_mnist(given.data), plan, given.neurons, given.seeds, given.out, print)
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    print(table(rows))
    for kind, pairs in ranks(rows).items():
        print(f"{kind}: " + "; ".join(f"{n} {r:+.2f} (n = {k})" for n, (r, k) in pairs.items()))


if __name__ == "__main__":
    main()
