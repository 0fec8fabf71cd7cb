"""Command lines of rules whose forms are options: what they train, and what they refuse in time."""

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from spikeloop.golden.data.datasets import Dataset
from spikeloop.golden.rules.bpsa import train as bpsa
from spikeloop.golden.rules.grad_r import train as grad_r
from spikeloop.golden.rules.qstdb import indian_pines, satellite, study
from spikeloop.golden.training import command
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.graph import Network
from tests.make.rule_nets import small_mnist


def run(module: ModuleType, words: list[str], out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``python -m MODULE words --out out`` with a small MNIST."""
    data = small_mnist(7, 7)
    few = replace(data, train_images=data.train_images[:64], train_labels=data.train_labels[:64])
    monkeypatch.setattr(command, "load_mnist", lambda path: few)
    monkeypatch.setattr("sys.argv", ["train", *words, "--epochs", "1", "--out", str(out)])
    module.main()


def test_bpsa_of_currents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    words = ["--structure", "2c3-fc20", "--encoder", "bit_planes", "--steps", "3", "--bare"]
    run(bpsa, words, tmp_path / "net", monkeypatch)
    net = Network.load(tmp_path / "net")
    assert net.metadata["training"]["bare"] and net.metadata["encoder"]["name"] == "bit_planes"
    assert net.inputs[0].size == 4 * 49 and not net.population("output").rectify.any()


@pytest.mark.parametrize(
    "words, wanted", [([], (1e-2, 1, "rate")), (["--currents"], (1e-3, 0, "bit_planes"))]
)
def test_forms_of_grad_r(
    words: list[str], wanted: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    seen: list = []

    def train(config: grad_r.GradRConfig, data: Dataset, **more: object) -> None:
        seen.append((config.lr, config.shift, config.encoder.name))
        raise InputError("no net is needed")

    monkeypatch.setattr(grad_r, "train", train)
    with pytest.raises(SystemExit):
        run(grad_r, words, tmp_path / "net", monkeypatch)
    assert seen == [wanted]


@pytest.mark.parametrize(
    "words, message",
    [
        (["--encoder", "bit_planes", "--bits", "14"], "bits of a weight must be in 2..13, not 14"),
        (["--encoder", "sequence", "--steps", "7"], "images for this net must"),
        (["--encoder", "bit_planes", "--structure", "mp7-fc20"], "not be a pool"),
    ],
)
def test_what_cannot_end_in_a_net_is_refused_before_the_training(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    monkeypatch.setattr(bpsa, "fit", None)
    with pytest.raises(SystemExit) as exit_:
        run(bpsa, words, tmp_path / "net", monkeypatch)
    assert exit_.value.code == 2 and message in capsys.readouterr().err


def test_a_folder_in_place_of_the_net_is_refused_before_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    monkeypatch.setattr(bpsa, "fit", None)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as exit_:
        run(bpsa, [], Path("."), monkeypatch)
    assert exit_.value.code == 2 and "output file must be writable" in capsys.readouterr().err


@pytest.mark.parametrize("module, batch", [(indian_pines, 16), (satellite, 32)])
def test_studies(
    module: ModuleType, batch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    """The study gets its layers, its data and the settings of the command line."""
    seen: list = []
    monkeypatch.setattr(study, "study", lambda *given: seen.append(given))
    monkeypatch.setattr(indian_pines, "load_indian_pines", lambda seed: f"patches {seed}")
    monkeypatch.setattr(satellite, "load_satellite", lambda path: f"patches {path}")
    words = ["--seed", "3", "--few-bit-epochs", "7"]
    words += ["--data", "3"] if module is satellite else []
    monkeypatch.setattr("sys.argv", ["study", "--folder", str(tmp_path), *words])
    module.main()
    ((folder, layers, config, few_bit, data),) = seen
    assert folder == tmp_path and data == "patches 3" and layers[-1].name == "fc"
    assert (config.epochs, few_bit.epochs, config.seed, config.batch) == (60, 7, 3, batch)
