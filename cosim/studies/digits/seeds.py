"""Reals against integers on MNIST: the same images and input spikes, several seeds, one table.

    python -m spikeloop.cosim.studies.digits.seeds --data FOLDER [--out DIR]
        [--neurons 100] [--train 10000] [--label 5000] [--test 10000] [--seeds 5] [--rules alsa,log]

A difference of one rounding moves a spike, and then another neuron wins. So single nets differ by
points both ways, and means over seeds are compared: they agree if they differ by less than 1 point
and two standard errors of their difference. Rows that ``--out`` keeps are not run again.
"""

import argparse
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.cosim.digits.study import Plan, learnt, score
from spikeloop.cosim.provenance import code
from spikeloop.golden.data.datasets import Dataset, load_mnist
from spikeloop.golden.rules.digits.layer import layer
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.journal import Rows

__all__ = ["agree", "run", "table"]

WIDTHS = {"float": None, "16 bits": 16}


def agree(reals: np.ndarray, integers: np.ndarray) -> tuple[float, float]:
    """Difference of the means, integers less reals, and what it may be; in the unit given."""
    many = min(len(reals), len(integers))
    error = math.sqrt((np.var(reals, ddof=1) + np.var(integers, ddof=1)) / many)
    return float(integers.mean() - reals.mean()), 1.0 + 2 * error


def run(
    rules: list[str],
    data: Dataset,
    plan: Plan,
    neurons: int,
    seeds: int,
    folder: Path,
    tell: Callable[[str], None],
) -> list[dict[str, Any]]:
    """All nets; those that the folder keeps are not run again."""
    journal = Rows(folder / "seeds.jsonl", (plan, neurons, data.source, code(__name__)))
    for seed in range(seeds):
        for rule in rules:
            for width, bits in WIDTHS.items():
                name = f"{rule} {width} seed {seed}"
                if name in journal:
                    continue
                chosen, own = layer(rule, neurons), replace(plan, seed=seed, bits=bits)
                core, _ = learnt(chosen, own, data)
                found, _ = score(core, chosen, own, data)
                journal.add(name, {"rule": rule, "width": width, "seed": seed, **vars(found)})
                tell(f"{name}: {found}")
    return journal.rows


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: mean, standard deviation and seeds of each; and whether they agree."""
    lines = ["| rule | weights | test, % | each seed |", "|---|---|---|---|"]
    for rule in dict.fromkeys(row["rule"] for row in rows):
        columns = []
        for width in WIDTHS:
            found = np.array(
                [100 * r["testing"] for r in rows if (r["rule"], r["width"]) == (rule, width)]
            )
            columns.append(found)
            each = ", ".join(f"{value:.2f}" for value in found)
            lines.append(f"| {rule} | {width} | {found.mean():.2f} ({found.std():.2f}) | {each} |")
        if min(map(len, columns)) > 1:
            apart, most = agree(*columns)
            verdict = "agree" if abs(apart) < most else "do not agree"
            lines.append(f"| {rule} | difference | {apart:+.2f}, may be {most:.2f} | {verdict} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of MNIST's IDX files")
    parser.add_argument("--out", type=Path, default=Path("build/seeds"), help="folder of the rows")
    parser.add_argument("--rules", default="alsa,log", help="rules, with commas")
    for name, default in (
        ("neurons", 100),
        ("train", 10_000),
        ("label", 5000),
        ("test", 10_000),
        ("seeds", 5),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    try:
        plan = Plan(train=given.train, label=given.label, test=given.test)
        rules, data = given.rules.split(","), load_mnist(given.data)
        rows = run(rules, data, plan, given.neurons, given.seeds, given.out, print)
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    print(table(rows))


if __name__ == "__main__":
    main()
