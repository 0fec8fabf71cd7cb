"""Constants of log-STDP sought by optuna: a low tail index and a high accuracy, both at once.

    python -m spikeloop.cosim.studies.digits.optimise --data FOLDER [--out DIR]
        [--trials 30] [--neurons 100] [--train 5000] [--test 10000] [--seeds 3]

Each trial trains a net of S, gamma, c+ and c-, and scores it on 3,000 training images held out.
The index alone does not see whether anything was learnt, so both are objectives, and what remains
is a front. Three nets of it stand in the table beside the constants from before: the least index;
the least index of those that are as accurate as before; and the best accuracy. The nets of the
table are trained anew with more seeds, and only they see the test images. Trials are kept in a
file of optuna's journal; a killed search goes on there.

Source: Chakraborty & Mukhopadhyay 2021, Table 5, eq. 16 and 17.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.cosim.digits.learner import key_of
from spikeloop.cosim.digits.study import Plan
from spikeloop.cosim.provenance import code
from spikeloop.cosim.studies.digits.ratios import measure, stdp_layer
from spikeloop.golden.data.datasets import Dataset, load_mnist
from spikeloop.golden.rules.digits.layer import Layer
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import writable
from spikeloop.pysim.common.journal import Rows

__all__ = ["BEFORE", "chosen", "search", "table"]

BEFORE = {"s": 3, "gamma": 45, "plus": 0.5, "minus": 0.45}
"""Table 5, before the optimisation."""
PUBLISHED = (
    "| published, before | 3 | 45 | 0.5 | 0.45 | - | 5.79 | 91.41 |",
    "| published, after | 5 | 57 | 0.752 | 0.788 | 0.718 | 3.17 | 90.65 |",
)
HELD = 3000
SEED = 1000
"""Of the search's own nets; the table's have seeds from 0."""


def _layer(neurons: int, values: dict[str, Any]) -> Layer:
    return stdp_layer("log", neurons, **{name: float(value) for name, value in values.items()})


def search(
    data: Dataset, plan: Plan, neurons: int, trials: int, folder: Path, tell: Callable[[str], None]
) -> list[dict[str, Any]]:
    """All trials, the constants from before as the first: values, ``index`` and ``test``.

    InputError if optuna is missing, or the folder keeps another search.
    """
    try:
        import optuna
        from optuna.storages.journal import JournalFileBackend
    except ImportError:
        raise InputError("package optuna is missing: pip install 'spikeloop[optimise]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    key = key_of(plan, neurons, data.source, code(__name__))
    file = writable(folder) / "optuna.log"
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(file)))
    # a sampler's own state is not kept: its seed follows from the trials done
    study = optuna.create_study(
        study_name="log-STDP",
        storage=storage,
        directions=["minimize", "maximize"],
        load_if_exists=True,
    )
    if study.user_attrs.setdefault("key", key) != key:
        raise InputError(
            f"search {str(file)!r} must be of the same plan, data and sources, not of others: "
            "name another folder, or remove it"
        )
    study.set_user_attr("key", key)
    done = optuna.trial.TrialState.COMPLETE

    def objective(trial: Any) -> tuple[float, float]:
        values = {
            "s": trial.suggest_int("s", 1, 10),
            "gamma": trial.suggest_int("gamma", 10, 100),
            "plus": trial.suggest_float("plus", 0.05, 1.0),
            "minus": trial.suggest_float("minus", 0.05, 1.0),
        }
        row = measure(_layer(neurons, values), plan, data)
        index = row["index"] if np.isfinite(row["index"]) else 2.0  # a dead net: the worst
        tell(f"trial {trial.number}: {values}, index {index:.3f}, held out {row['test']:.2%}")
        return index, row["test"]

    if not study.trials:
        study.enqueue_trial(BEFORE)
    while (count := len(study.get_trials(states=[done]))) < trials:
        study.sampler = optuna.samplers.TPESampler(seed=count, n_startup_trials=10)
        study.optimize(objective, n_trials=1)
    return [
        {**trial.params, "index": trial.values[0], "test": trial.values[1]}
        for trial in study.get_trials(states=[done])
    ]


def chosen(trials: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The constants of the table's rows, by name; ``trials[0]`` are those from before."""
    as_good = [row for row in trials if row["test"] >= trials[0]["test"]]
    rows = {
        "before": trials[0],
        "least index": min(trials, key=lambda row: row["index"]),
        "least index, as accurate as before": min(as_good, key=lambda row: row["index"]),
        "best accuracy": max(trials, key=lambda row: row["test"]),
    }
    return {name: {key: row[key] for key in BEFORE} for name, row in rows.items()}


def table(rows: dict[str, list[dict[str, Any]]], values: dict[str, dict[str, Any]]) -> str:
    """Markdown: constants, and mean and standard deviation over the seeds."""
    lines = [
        "| constants | S | gamma | c+ | c- | index | gap, points | test, % |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, found in rows.items():
        v = values[name]
        cells = []
        for key, unit, digits in (("index", 1, 3), ("gap", 100, 2), ("test", 100, 2)):
            column = np.array([row[key] for row in found]) * unit
            cells.append(f"{column.mean():.{digits}f} ({column.std():.{digits}f})")
        lines.append(
            f"| {name} | {v['s']} | {v['gamma']} | {v['plus']:.3f} | {v['minus']:.3f} | "
            f"{' | '.join(cells)} |"
        )
    return "\n".join([*lines, *PUBLISHED])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of MNIST's IDX files")
    parser.add_argument("--out", type=Path, default=Path("build/optimise"), help="folder")
    for name, default in (
        ("trials", 30),
        ("neurons", 100),
        ("train", 5000),
        ("test", 10_000),
        ("seeds", 3),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    try:
        data = load_mnist(given.data)
        plan = Plan(train=given.train, label=given.train, test=HELD, seed=SEED, held=True)
        trials = search(data, plan, given.neurons, given.trials, given.out, print)
        values = chosen(trials)
        last = Plan(train=given.train, label=given.train, test=given.test)
        of = (last, given.neurons, data.source, values, code(__name__))
        journal = Rows(given.out / "table.jsonl", of)
        rows: dict[str, list[dict[str, Any]]] = {}
        for name, constants in values.items():
            for seed in range(given.seeds):
                key = f"{name} seed {seed}"
                if key not in journal:
                    net = _layer(given.neurons, constants)
                    journal.add(key, measure(net, replace(last, seed=seed), data))
                    print(f"{key}: {journal[key]}")
                rows.setdefault(name, []).append(journal[key])
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    print(table(rows, values))


if __name__ == "__main__":
    main()
