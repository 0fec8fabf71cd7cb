"""LoCal+SGD on small images: trained, killed, converted by ECC, run on the RTL.

About 10 CPU-seconds.
"""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from spikeloop.cosim.flow.pretrained import load
from spikeloop.golden.data.datasets import Dataset, load_mnist
from spikeloop.golden.reference.integer import predict, run
from spikeloop.golden.rules.ecc.net import IMAGE
from spikeloop.golden.rules.ecc.train import accuracy, pixels
from spikeloop.golden.rules.local_sgd import rows
from spikeloop.golden.rules.local_sgd import train as local_train
from spikeloop.golden.rules.local_sgd.net import Block, LocalNet
from spikeloop.golden.rules.local_sgd.train import LocalConfig, fit_local, to_cnn, train, train_net
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.journal import Rows
from spikeloop.pysim.network.graph import Network
from tests.make.rule_nets import check_refused, check_same_bits, compare_on_rtl, small_mnist

SMALL = LocalConfig(epochs=6, part=400, batch=25, shift=0, steps=16, planes=2)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return small_mnist(12, 12, edge=2, train=1000)


@pytest.fixture(scope="module")
def network(data: Dataset) -> Network:
    return train(SMALL, data, progress=False)


def test_it_learns_and_the_conversion_keeps_it(network: Network, data: Dataset):
    about = network.metadata
    assert (
        about["accuracy_float"] > 0.7 and about["accuracy_integer"] > about["accuracy_float"] - 0.1
    )  # chance is 0.1
    assert about["local"] == [0, 0, 2, 4, 5, 5] and about["kept"][0] > 3 * about["kept"][-1]
    assert 0.7 < about["work"] < 0.95
    trace = run(network, {IMAGE: SMALL.encoder(data.test_images)})
    assert (predict(network, trace) == data.test_labels).mean() == about["accuracy_integer"]
    assert ("conv3", "conv5") in [(edge.source, edge.target) for edge in network.edges]


def test_the_rtl_runs_it(network: Network, data: Dataset):
    compare_on_rtl(network, data.test_images[:4])


def test_the_cnn_is_the_trained_net(data: Dataset):
    net, _ = train_net(replace(SMALL, epochs=1), data, progress=False)
    x = pixels(data.test_images[:20], SMALL.planes)
    with torch.no_grad():
        sums = net(torch.from_numpy(x).float()).numpy()
    assert np.allclose(to_cnn(net, (1, 12, 12)).activations(x)["output"], sums, atol=1e-4)


def test_two_trainings_and_a_resumed_one_give_the_same_bits(data: Dataset, tmp_path: Path):
    config = replace(SMALL, epochs=2, part=100, schedule="dynamic", steps=4)
    check_same_bits(train, config, data, tmp_path)


def tiny() -> LocalNet:
    torch.manual_seed(0)
    return LocalNet([Block(channels=3)] * 3, (1, 8, 8), (3, 8), clip=2.0)


def test_a_killed_training_goes_on_with_its_modes(tmp_path: Path):
    """Killed in epoch 4, behind two moves and a change of the sign."""
    config = replace(SMALL, part=20, batch=10, schedule="dynamic", alpha=1.2, lr=0.3)
    x, labels = torch.rand(50, 1, 8, 8), torch.arange(50) % 3
    calls, stop = 0, 1000

    def loss(chosen: np.ndarray, rng: np.random.Generator, **local: object) -> Tensor:
        nonlocal calls
        calls += 1
        if calls > stop:
            raise KeyboardInterrupt
        return torch.nn.functional.cross_entropy(net(x[chosen], **local).flatten(1), labels[chosen])

    def fitted(checkpoint: Path | None = None) -> list[dict]:
        return fit_local(
            net, config, loss, 50, source="random", checkpoint=checkpoint, progress=False
        )

    net = tiny()
    whole, wanted = fitted(), net.state_dict()
    net, calls, stop = tiny(), 0, 9
    with pytest.raises(KeyboardInterrupt):
        fitted(tmp_path / "kept")
    net, calls, stop = tiny(), 0, 1000
    resumed = fitted(tmp_path / "kept")
    assert calls == 2 * 2  # epochs 4 and 5 alone
    keys = ("loss", "local", "sign", "macs", "kept")
    assert [[e[k] for k in keys] for e in whole] == [[e[k] for k in keys] for e in resumed]
    assert whole[3]["local"] >= 2 and -1 in [epoch["sign"] for epoch in whole]
    assert all(torch.equal(wanted[name], value) for name, value in net.state_dict().items())


@pytest.mark.parametrize("eta", [0.0, 1e-2])
def test_a_local_block_moves_by_its_rate_alone(eta: float):
    """The rate is halved after each third; momentum and weight decay end with the gradients."""
    config = replace(SMALL, part=20, batch=10, schedule="linear", c1=1.0, c2=0.0, eta=eta)
    x, labels, seen = torch.rand(50, 1, 8, 8), torch.arange(50) % 3, list[Tensor]()
    net = tiny()

    def loss(chosen: np.ndarray, rng: np.random.Generator, **local: int) -> Tensor:
        seen.append(net.convs[0].weight.detach().clone())
        return cross_entropy(net(x[chosen], **local).flatten(1), labels[chosen])

    history = fit_local(net, config, loss, 50, source="random", progress=False)
    assert [epoch["local"] for epoch in history] == [0, 0, 1, 1, 2, 3]
    moves = [(new - old).norm().item() for old, new in pairwise([*seen, net.convs[0].weight])]
    assert min(moves[:4]) > 0.01  # two epochs of two updates by gradients
    assert moves[4:] == pytest.approx([eta / 2] * 4 + [eta / 4] * 4, rel=1e-3)


def test_a_table_of_few_trainings(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    """Every training is done once, then read from the journal."""
    short = replace(SMALL, epochs=2, part=100)
    monkeypatch.setattr(rows, "ROWS", {"a": short, "b": replace(short, schedule="sgd")})
    monkeypatch.setattr(rows, "load_mnist", lambda path: data)
    monkeypatch.setattr("sys.argv", ["rows", "--out", str(tmp_path), "--seeds", "2"])
    rows.main()
    first = capsys.readouterr().out.splitlines()[-4:]
    monkeypatch.setattr(rows, "measure", lambda *given: pytest.fail("trained again"))
    rows.main()
    assert capsys.readouterr().out.splitlines() == first
    kept = Rows(tmp_path / "rows.jsonl", "LoCal+SGD").rows
    assert len(kept) == 4 and kept[0]["score"] != kept[2]["score"]  # another seed
    assert first[3].startswith("| b | ") and "| 0.167 |" in first[3]  # 2 of 12 epochs of SGD


def test_the_kept_net_is_what_its_metadata_say(shared_data: Path):
    net = load("local-sgd-mnist")
    about, data = net.metadata, load_mnist(shared_data / "mnist")
    assert data.source == about["dataset"]["source"] and net.rule == "local_sgd"
    assert about["work"] < 0.9 and about["accuracy_integer"] > 0.98
    images, labels = data.test_images[:60], data.test_labels[:60]
    config = LocalConfig(**about["training"])
    # 60 of the 10,000 images: four standard deviations of a share of 0.985 are 0.063
    score = accuracy(net.network, config.encoder, images, labels)
    assert abs(score - about["accuracy_integer"]) < 0.063


def test_wrong_settings_are_refused(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    for change, message in (
        (
            {"schedule": "cubic"},
            "schedule of the training must be one of sgd, quadratic, .*'cubic'",
        ),
        (
            {"c2": 1.0},
            r"c1 and c2 of the training must be at most 1 and below 1, not 0\.8 and 1\.0",
        ),
        ({"eta": -1.0}, r"eta of the training must be a number of at least 0, not -1\.0"),
    ):
        with pytest.raises(InputError, match=message):
            replace(SMALL, **change)
    with pytest.raises(InputError, match="must be at most the 1000 training images and the part"):
        train(replace(SMALL, part=2000), data, progress=False)
    with pytest.raises(InputError, match="images of this net must be square, not of 48 pixels"):
        train(SMALL, replace(data, train_images=np.zeros((1000, 48), np.uint8)), progress=False)
    words = ["--epochs", "0"]
    message = "epochs of the training must be in 1..1048576, not 0"
    check_refused(local_train, words, message, tmp_path, monkeypatch, capsys)
