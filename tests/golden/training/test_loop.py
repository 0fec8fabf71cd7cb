"""The shared training loop: killed and resumed it gives the same bits; it moves images; it refuses
what is damaged, foreign or diverges."""

import argparse
import ast
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from spikeloop.golden.training.command import command, training_command
from spikeloop.golden.training.images import shifted
from spikeloop.golden.training.loop import LoopConfig, fit
from spikeloop.pysim.common.errors import InputError
from tests.conftest import ROOT

EPOCHS = 4
OPTIMISERS = ("adam", "adamw", "sgd")


def training(
    which: str,
    checkpoint: Path | None,
    kill_at: int | None = None,
    progress: bool = False,
    **options,
) -> tuple[nn.Module, list]:
    """A small net with dropout (torch's generator) and a buffer, on drawn images (numpy's).

    It is killed by SIGKILL after ``kill_at`` updates.
    """
    draw = np.random.default_rng(7)
    images, labels = (
        draw.normal(size=(50, 12)).astype(np.float32),
        torch.from_numpy(draw.integers(0, 3, 50)),
    )
    torch.manual_seed(1)
    net = nn.Sequential(
        nn.Linear(12, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3)
    )
    if which == "adam":
        optimiser: torch.optim.Optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
        schedule: torch.optim.lr_scheduler.LRScheduler = torch.optim.lr_scheduler.CosineAnnealingLR(
            optimiser, 5 * EPOCHS
        )
    elif which == "adamw":
        optimiser = torch.optim.AdamW(net.parameters(), lr=0.02)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda at: 1 / (1 + at))
    else:
        optimiser = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, [3, 12, 17], 0.5)
    torch.manual_seed(os.getpid())  # the loop seeds torch itself
    done = 0

    def loss(chosen: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        noise = rng.normal(size=(len(chosen), 12)).astype(np.float32)
        return F.cross_entropy(net(torch.from_numpy(images[chosen] + noise)), labels[chosen])

    def after() -> None:
        nonlocal done
        done += 1
        if done == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    history = fit(
        net,
        optimiser,
        loss,
        50,
        **{
            "epochs": EPOCHS,
            "batch": 11,
            "seed": [3, 1],
            "schedule": schedule,
            "after_update": after,
            "after_epoch": lambda epoch: {"number": epoch},
            "checkpoint": checkpoint,
            "training": {"net": which},
            "progress": progress,
        }
        | options,
    )
    return net, history


def bits(net: nn.Module) -> list[bytes]:
    return [t.numpy().tobytes() for t in net.state_dict().values()]


def test_a_killed_training_goes_on_to_the_same_bits(tmp_path: Path):
    """Killed by SIGKILL in the third epoch, after two were kept; the other optimisers by an
    exception, since torch starts slowly."""
    files = {which: tmp_path / which / "net.training" for which in OPTIMISERS}
    for which, file in files.items():
        if which == "adam":
            call = f"training({which!r}, Path({str(file)!r}), 13)"
            code = f"from pathlib import Path; from {__name__} import training; {call}"
            root = ROOT
            killed = subprocess.run(
                [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False
            )
            assert killed.returncode == -signal.SIGKILL and file.exists(), killed.stderr
        else:
            stopped(which, file)
        assert [path.name for path in file.parent.iterdir()] == [file.name]
        whole, history = training(which, None)
        seen: list[int] = []
        resumed, later = training(which, file, before_epoch=seen.append)
        assert seen == [2, 3] and [entry["number"] for entry in later] == [0, 1, 2, 3]
        assert later == history and bits(resumed) == bits(whole)
        again, _ = training(which, file, before_epoch=seen.append)  # nothing left to do
        assert seen == [2, 3] and bits(again) == bits(whole)


def stopped(which: str, file: Path) -> None:
    """A training that an exception ends before its third epoch."""

    def before(epoch: int) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training(which, file, before_epoch=before)


@pytest.mark.parametrize("lost", ["optimiser", "schedule", "rng", "torch"])
def test_every_part_of_a_checkpoint_matters(lost: str, tmp_path: Path, monkeypatch):
    """The check above sees it if a checkpoint loses one of its parts."""
    whole, _ = training("adam", None)
    file = tmp_path / "net.training"
    stopped("adam", file)
    for owner, name in {
        "optimiser": [(torch.optim.Optimizer, "load_state_dict")],
        "torch": [(torch, "set_rng_state")],
        "schedule": [(torch.optim.lr_scheduler.CosineAnnealingLR, "load_state_dict")],
        "rng": [],
    }[lost]:
        monkeypatch.setattr(owner, name, lambda *state: None)
    if lost == "rng":
        fresh = np.random.default_rng
        monkeypatch.setattr(
            np.random,
            "default_rng",
            lambda seed: _Deaf(fresh(seed)) if seed == [3, 1] else fresh(seed),
        )
    resumed, _ = training("adam", file)
    assert bits(resumed) != bits(whole)


class _Deaf:
    """A generator that cannot be set to a kept state."""

    class bit_generator:
        state: object = None

    def __init__(self, rng: np.random.Generator) -> None:
        self.permutation, self.normal = rng.permutation, rng.normal


def test_progress_tells_rate_and_time_left(capsys: pytest.CaptureFixture[str]):
    training("adam", None, progress=True)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == EPOCHS
    assert all(
        re.match(
            rf"train epoch {i + 1}/4  loss \d\.\d{{4}}  number {i}  [\d,]+ images/s  \d+ s left$",
            line,
        )
        for i, line in enumerate(lines)
    ), lines


def test_foreign_and_damaged_checkpoints_are_refused(tmp_path: Path):
    file = tmp_path / "net.training"
    training("adam", file)
    for change, key in (
        ({"training": {"net": "other"}}, "training"),
        ({"batch": 10}, "batch"),
        ({"seed": [3, 2]}, "seed"),
    ):
        with pytest.raises(
            InputError,
            match=rf"must be of this training, not of one that differs in {key}: "
            "delete it to begin anew",
        ):
            training("adam", file, **change)
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(
        InputError, match="must be a safetensors file written by a training, not this one"
    ):
        training("adam", file)


def test_training_that_diverges_is_refused():
    net = nn.Linear(1, 1)
    with pytest.raises(
        InputError,
        match=r"loss of the training must be finite, not -?inf \(train, epoch 1\): "
        "choose a smaller lr",
    ):
        fit(
            net,
            torch.optim.SGD(net.parameters(), lr=1.0),
            lambda chosen, rng: net(torch.full((1, 1), torch.inf)).sum(),
            1,
            epochs=1,
            batch=1,
            seed=0,
        )


def test_shift_moves_whole_images(rng: np.random.Generator):
    images = rng.integers(1, 256, (200, 16)).astype(np.uint8)
    moved = shifted(images, 1, rng).reshape(-1, 4, 4)
    seen = set()
    for image, result in zip(images.reshape(-1, 4, 4), moved, strict=True):
        padded = np.pad(image, 1)
        hits = [
            (r, c)
            for r in range(3)
            for c in range(3)
            if np.array_equal(padded[r : r + 4, c : c + 4], result)
        ]
        assert len(hits) == 1
        seen |= set(hits)
    assert len(seen) == 9
    assert shifted(images, 0, rng) is images


@pytest.mark.parametrize(
    "change, message",
    [
        ({"epochs": 0}, "epochs of the training must be in .*, not 0"),
        ({"batch": 1.5}, r"batch of the training must be in .*, not 1\.5"),
        ({"lr": float("inf")}, "lr of the training must be a number of at least 0, not inf"),
    ],
)
def test_bad_settings_are_refused(change: dict, message: str):
    with pytest.raises(InputError, match=message):
        LoopConfig(**change)


@dataclass
class _Made:
    metadata: dict

    def save(self, path: str | Path) -> Path:
        Path(path).write_text(str(self.metadata))
        return Path(path)


def test_the_command_line_of_a_rule(tmp_path: Path, monkeypatch, capsys):
    """The result names the command that makes it; checkpoints go once it is written, and stay if it
    fails."""
    out = tmp_path / "net.safetensors"
    monkeypatch.setattr(
        sys, "argv", ["rule", "--out", str(out), "--p", "0.5", "--epochs", "3", "--flag"]
    )

    def parser() -> argparse.ArgumentParser:
        made = argparse.ArgumentParser()
        made.add_argument("--p", type=float)
        made.add_argument("--flag", action="store_true")
        return made

    def fails(given: argparse.Namespace, data: object, checkpoint: Path) -> _Made:
        checkpoint.write_text("so far")
        raise InputError("p must be another, not this")

    with pytest.raises(SystemExit) as stop:
        command("bntt", parser(), fails, 9)
    assert stop.value.code == 2 and "p must be another, not this" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["net.safetensors.training"]
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--images", "7"])
    command(
        "bntt",
        parser(),
        lambda given, data, checkpoint: _Made(
            {"accuracy": [given.epochs, len(data.train_labels), len(data.train_images)]}
        ),
        9,
    )
    assert [path.name for path in tmp_path.iterdir()] == ["net.safetensors"]
    assert "{'accuracy': [3, 7, 7]}" in capsys.readouterr().out
    trained_by = ast.literal_eval(out.read_text())["command"]
    words = ["--epochs", "3", "--flag", "--images", "7", "--p", "0.5", "--seed", "0"]
    assert trained_by == {"rule": "bntt", "arguments": words}
    assert training_command(trained_by) == ["spikeloop.golden.rules.bntt.train", *words]
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--held-out", "2"])
    command(
        "bntt",
        parser(),
        lambda given, data, checkpoint: _Made(
            {"accuracy": [len(data.train_labels), len(data.test_labels)]}
        ),
        9,
    )
    assert "{'accuracy': [5, 2]}" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--images", "4001"])
    with pytest.raises(SystemExit):
        command("bntt", parser(), lambda given, data, checkpoint: _Made({}), 9)
    assert re.search(r"images to train on must be in 1\.\.4000, not 4001", capsys.readouterr().err)
