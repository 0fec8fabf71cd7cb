"""Trainings on another device than the CPU: every rule keeps its tensors together, and checkpoints
hold the device's generator. Without a GPU a device of pretence stands in (elsewhere.py)."""

import argparse
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import nn

from spikeloop.golden.data.datasets import Dataset
from spikeloop.golden.data.encoders import Encoder
from spikeloop.golden.nn import layers as exact
from spikeloop.golden.rules.bntt import train as bntt
from spikeloop.golden.rules.bpsa import train as bpsa
from spikeloop.golden.rules.bpsr import train as bpsr
from spikeloop.golden.rules.ecc import train as ecc
from spikeloop.golden.rules.grad_r import train as grad_r
from spikeloop.golden.rules.hard_concrete import train as hard_concrete
from spikeloop.golden.rules.local_sgd import segment
from spikeloop.golden.rules.local_sgd import train as local_sgd
from spikeloop.golden.rules.qstdb import train as qstdb
from spikeloop.golden.rules.scatter_gather import train as scatter_gather
from spikeloop.golden.training import train as plain
from spikeloop.golden.training.command import command
from spikeloop.golden.training.device import devices, training_on
from spikeloop.golden.training.loop import fit
from spikeloop.pysim.common.errors import InputError
from tests.conftest import ROOT
from tests.golden.training.elsewhere import NAME, Generator, elsewhere
from tests.golden.training.test_loop import _Made, bits
from tests.make.rule_nets import small_mnist

FEW = {"epochs": 2, "batch": 24}
ENCODER = Encoder(name="rate", steps=4)
CURRENTS = Encoder(name="bit_planes", steps=4)
CASES: dict[str, tuple[Callable, Any]] = {  # rule, then what of it: the training and its settings
    "plain": (plain.train, plain.TrainConfig(layers=(784, 9, 10), recurrent=True, **FEW)),
    "bntt": (bntt.train_net, replace(bntt.NETS["rate"], hidden=(9,), encoder=ENCODER, **FEW)),
    "bntt, pages": (
        bntt.train_net,
        replace(
            bntt.NETS["pixels"], hidden=(9,), encoder=Encoder(name="sequence", steps=28), **FEW
        ),
    ),
    "bpsa": (bpsa.train, bpsa.BpsaConfig(structure="2c5/2-mp2-fc10", encoder=ENCODER, **FEW)),
    "bpsa, currents": (
        bpsa.train,
        bpsa.BpsaConfig(structure="2c5/2-fc20", bare=True, encoder=CURRENTS, **FEW),
    ),
    "bpsr": (bpsr.train, bpsr.BpsrConfig(structure="2c5/2-r9-fc10", encoder=ENCODER, **FEW)),
    "ecc": (ecc.train_cnn, ecc.EccConfig(channels=(2, 3), **FEW)),
    "grad_r": (grad_r.train, grad_r.GradRConfig(hidden=20, encoder=ENCODER, **FEW)),
    "grad_r, Deep R": (
        grad_r.train,
        grad_r.GradRConfig(
            hidden=20, encoder=ENCODER, connectivity=0.3, alpha=1e-4, temperature=1e-3, **FEW
        ),
    ),
    "grad_r, currents": (grad_r.train, grad_r.GradRConfig(hidden=20, encoder=CURRENTS, **FEW)),
    "hard_concrete": (
        hard_concrete.train_net,
        hard_concrete.HardConcreteConfig(layers="2c5/2-fc10", encoder=ENCODER, **FEW),
    ),
    "local_sgd": (local_sgd.train_net, local_sgd.LocalConfig(part=48, **FEW)),
    "local_sgd, dynamic": (
        local_sgd.train_net,
        local_sgd.LocalConfig(part=48, schedule="dynamic", **FEW),
    ),
    "local_sgd, U-Net": (segment.train_unet, local_sgd.LocalConfig(part=48, **FEW)),
    "qstdb": (
        lambda *given, **more: qstdb.train(
            *given, qstdb.mnist_layers(), bits=6, pim=qstdb.MACRO, **more
        ),
        qstdb.QstdbConfig(ann_epochs=1, **FEW),
    ),
    "scatter_gather": (scatter_gather.train, scatter_gather.ScatterGatherConfig(**FEW)),
}


@pytest.fixture(scope="module")
def data() -> Dataset:
    return small_mnist(28, 28, train=72, test=40)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[bytes], list]]:
    """Parameters and losses of every training, as ``fit`` leaves them; and all are on the CPU."""
    seen = []

    def watched(net: nn.Module, *given: Any, **more: Any) -> list[dict[str, Any]]:
        history = fit(net, *given, **more)
        seen.append((bits(net), [epoch["loss"] for epoch in history]))
        return history

    for module in list(sys.modules.values()):
        if getattr(module, "fit", None) is fit and module.__name__.startswith("spikeloop."):
            monkeypatch.setattr(module, "fit", watched)
    return seen


def test_the_cases_are_all_rules_that_train_with_the_loop():
    rules = {
        path.parent.name
        for path in (ROOT / "golden/rules").glob("*/*.py")
        if "training.loop import" in path.read_text()
    }
    assert rules | {"plain"} == {case.split(",")[0] for case in CASES}


@pytest.mark.parametrize("case", CASES)
def test_every_rule_trains_elsewhere_to_the_same_bits(case: str, data: Dataset, trained: list):
    train, config = CASES[case]
    train(config, data, progress=False)
    here = trained.copy()
    trained.clear()
    with elsewhere():
        train(config, data, progress=False)
    assert trained == here and here


def dropped(checkpoint: Path | None, stop: bool = False, cpu: bool = False) -> tuple[Any, list]:
    """A net whose dropout is drawn by the generator of the device, and its history."""
    net = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.4), nn.Linear(8, 2))
    for i, parameter in enumerate(net.parameters()):
        nn.init.constant_(parameter, 0.1 * (i + 1))
    images = np.random.default_rng(1).normal(size=(20, 6)).astype(np.float32)

    def loss(chosen: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        make = torch.from_numpy if cpu else torch.as_tensor
        value: torch.Tensor = net(make(images[chosen])).square().sum()
        return value

    def before(epoch: int) -> None:
        if stop and epoch == 2:
            raise KeyboardInterrupt

    history = fit(
        net,
        torch.optim.Adam(net.parameters(), lr=0.01),
        loss,
        len(images),
        epochs=3,
        batch=7,
        seed=5,
        before_epoch=before,
        checkpoint=checkpoint,
        progress=False,
    )
    return net, history


def test_a_model_of_nn_trains_elsewhere_to_the_same_bits(rng: np.random.Generator):
    """As docs/training.md says of ``.to("cuda")``."""
    spikes = (rng.random((12, 6, 1, 6, 6)) < 0.4).astype(np.float32)

    def model(device: str) -> nn.Module:
        torch.manual_seed(0)
        made = exact.sequential(
            exact.Conv2d(1, 2, 3, bits=4, bias=True),
            exact.CubaLIF(leak=0.875, current_decay=0.5),
            exact.MaxPool2d(2),
            exact.Linear(8, 5, bits=4),
            exact.ALIF(leak=0.5, adaptation_decay=0.75, adaptation_step=0.5, recurrent=True),
            exact.Linear(5, 2, bits=4),
            exact.LIF(leak=0.875),
            input=(1, 6, 6),
            steps=6,
        ).to(device)
        optimiser = torch.optim.Adam(made.parameters(), lr=0.02)
        for _ in range(2):
            loss = made(torch.as_tensor(spikes, device=device)).sum(1).square().mean()
            assert loss.device.type == device
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        return made.to("cpu")

    here = bits(model("cpu"))
    with elsewhere():
        assert bits(model(NAME)) == here


def test_a_tensor_of_the_cpu_is_met():
    """The device of pretence sees what a GPU would refuse."""
    dropped(None, cpu=True)
    with pytest.raises(RuntimeError, match="a tensor of another device"), elsewhere():
        dropped(None, cpu=True)


@pytest.mark.filterwarnings("ignore:for .* copying from a non-meta parameter")  # it does copy
def test_a_checkpoint_holds_the_generator_of_the_device(tmp_path: Path):
    """Resumed there, the training has the same bits. Resumed on the CPU it goes on, and its history
    has the device of each epoch."""
    file, other, third = (tmp_path / name for name in ("net", "other", "third"))
    with elsewhere():
        whole, history = dropped(None)
        with pytest.raises(KeyboardInterrupt):
            dropped(file, stop=True)
    for copy in (other, third):
        copy.write_bytes(file.read_bytes())
    with safe_open(file, "pt") as kept:
        names = kept.keys()
        assert {kept.get_tensor(name).device.type for name in names} == {"cpu"}
        assert "device.meta" in names
    with elsewhere():
        resumed, later = dropped(file)
    assert bits(resumed) == bits(whole) and later == history
    with elsewhere(), mock.patch.object(Generator, "set_rng_state", lambda *given: None):
        forgetful, _ = dropped(third)
    assert bits(forgetful) != bits(whole)
    assert [epoch["device"] for epoch in history] == ["meta"] * 3
    _, mixed = dropped(other)
    assert [epoch.get("device") for epoch in mixed] == ["meta", "meta", None]
    assert [epoch["loss"] for epoch in mixed[:2]] == [epoch["loss"] for epoch in history[:2]]


def test_a_device_that_is_not_there_is_refused():
    for name in ("tpu", "cuda:99", "meta", "", "cpu:0"):
        with (
            pytest.raises(
                InputError,
                match=rf"^device must be one that torch has here \(cpu.*\), not '{name}'$",
            ),
            training_on(name),
        ):
            raise AssertionError("refused before")
    assert devices()[0] == "cpu"
    with training_on("cpu"):
        _, history = dropped(None)
    assert "device" not in history[0]


def test_the_command_line_takes_and_keeps_the_device(tmp_path: Path, monkeypatch, capsys):
    """A net says where it was trained, unless that was the CPU."""

    def words(*device: str) -> list[str]:
        monkeypatch.setattr(sys, "argv", ["rule", "--out", str(tmp_path / "net"), *device])
        made = _Made({})
        command("bntt", argparse.ArgumentParser(), lambda *given: made, 1)
        return made.metadata["command"]["arguments"]

    assert words() == words("--device", "cpu") == ["--epochs", "1", "--seed", "0"]
    with elsewhere():
        assert words("--device", "meta") == ["--device", "meta", "--epochs", "1", "--seed", "0"]
    with pytest.raises(SystemExit) as stop:
        words("--device", "tpu")
    assert stop.value.code == 2
    assert re.fullmatch(r"device must be one .* \(cpu.*\), not 'tpu'\n", capsys.readouterr().err)


GPU = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="torch has no CUDA here: needs a GPU and torch for it"
)


@GPU
def test_every_rule_trains_on_a_gpu(data: Dataset, trained: list):
    for case, (train, config) in CASES.items():
        with training_on("cuda"):
            train(config, data, progress=False)
        assert trained and all(np.isfinite(losses).all() for _, losses in trained), case
        trained.clear()


@GPU
def test_a_training_on_a_gpu_repeats_and_resumes(tmp_path: Path, monkeypatch):
    """With what torch calls deterministic algorithms, on one GPU."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    try:
        with training_on("cuda"):
            whole, history = dropped(None)
            with pytest.raises(KeyboardInterrupt):
                dropped(tmp_path / "net", stop=True)
            resumed, later = dropped(tmp_path / "net")
    finally:
        torch.use_deterministic_algorithms(False)
    assert bits(resumed) == bits(whole) and later == history
