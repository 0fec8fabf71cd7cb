"""Batch normalisation through time on small instances: trained, folded, left early, run on the RTL.

About 14 CPU-seconds.
"""

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from spikeloop.cosim.flow.pretrained import load
from spikeloop.golden.data.datasets import Dataset, load_mnist
from spikeloop.golden.data.encoders import Encoder
from spikeloop.golden.reference.integer import predict, run
from spikeloop.golden.rules.bntt import train as bntt_train
from spikeloop.golden.rules.bntt.train import BnttConfig, train
from spikeloop.golden.rules.ecc import train as ecc_train
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.graph import Network
from tests.make.rule_nets import check_refused, check_same_bits, compare_on_rtl, small_mnist

SMALL = BnttConfig(
    encoder=Encoder(name="sequence", steps=7, planes=2),
    hidden=(24,),
    epochs=4,
    batch=50,
    shift=0,
    lr=0.05,
)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return small_mnist(7, 7)


@pytest.fixture(scope="module")
def network(data: Dataset) -> Network:
    return train(SMALL, data, progress=False)


def test_it_learns_row_by_row_and_the_chip_has_a_page_for_each(network: Network, data: Dataset):
    about = network.metadata
    assert (
        about["accuracy_float"] > 0.5 and about["accuracy_integer"] > about["accuracy_float"] - 0.1
    )  # chance is 0.1
    assert about["curve"][-1] == about["accuracy_float"] > about["curve"][2]
    assert network.inputs[0].size == 14 and [p.pages for p in network.populations] == [7, 7]
    hidden = network.population("hidden1")
    assert all(len(np.unique(pages, axis=0)) == 7 for pages in (hidden.bias, hidden.v_th))
    assert (
        about["gain_error"]["hidden1"] < 0.05
    )  # of the output, step 0 (an almost empty row) alone is far off: no factor exceeds 4
    trace = run(network, {"input": Encoder(**about["encoder"])(data.test_images)})
    assert (predict(network, trace) == data.test_labels).mean() == about["accuracy_integer"]


def test_the_rtl_runs_it(network: Network, data: Dataset):
    compare_on_rtl(network, data.test_images[:20])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bntt-sequence", "bntt-rate"])
def test_the_rtl_runs_the_kept_nets(name: str):
    compare_on_rtl(load(name).network, load_mnist().test_images[:3])


def test_rate_coded_net_leaves_early_on_the_rtl_too(data: Dataset):
    """A threshold between the mean gammas of the steps: the network has only the steps up to the
    last one above it."""
    config = replace(SMALL, encoder=Encoder(name="rate", steps=8), epochs=1)
    whole = train(config, data, progress=False)
    gammas = np.max(whole.metadata["gammas"], 0)
    assert whole.steps == 8
    cut = replace(config, exit_gamma=float(np.sort(gammas)[-1]))  # the largest alone reaches it
    short = train(cut, data, progress=False)
    assert (
        short.steps == 1 + int(gammas.argmax())
        and short.metadata["encoder"]["steps"] == short.steps
    )
    compare_on_rtl(short, data.test_images[:10])
    decayed = np.array(
        train(replace(config, gamma_decay=0.3), data, progress=False).metadata["gammas"]
    )
    assert (
        decayed < whole.metadata["gammas"]
    ).all()  # what lets a longer training leave early by itself


def test_two_trainings_and_a_resumed_one_give_the_same_bits(data: Dataset, tmp_path):
    check_same_bits(train, replace(SMALL, epochs=1), data, tmp_path)


def test_adam_learns_more_in_the_same_epochs(network: Network, data: Dataset, tmp_path: Path):
    """As on all images (docs/rules.md); a mean in the loss makes another net."""
    config = replace(SMALL, optimiser="adam", mean=True, eps=0.01, lr=0.02)
    mean, summed = (train(c, data, progress=False) for c in (config, replace(config, mean=False)))
    assert mean.metadata["accuracy_float"] > network.metadata["accuracy_float"] + 0.02
    assert not np.array_equal(mean.edges[0].weights, summed.edges[0].weights)
    check_same_bits(train, replace(config, epochs=1), data, tmp_path)


def test_wrong_settings_are_refused(data: Dataset):
    with pytest.raises(
        InputError, match="optimiser of the training must be one of sgd, adam, not 'lion'"
    ):
        replace(SMALL, optimiser="lion")
    with pytest.raises(
        InputError, match=r"leak of the training must be a number of at least 0, not -1\.0"
    ):
        replace(SMALL, leak=-1.0)
    with pytest.raises(
        InputError, match="batch of the training must be at most the 2000 training images, not 5000"
    ):
        train(replace(SMALL, batch=5000), data, progress=False)
    with pytest.raises(
        InputError,
        match=r"steps of the training must be at most 64 \(64 pages of 1 on the chip\), not 65",
    ):
        train(replace(SMALL, encoder=Encoder(name="rate", steps=65)), data, progress=False)
    with pytest.raises(
        InputError,
        match="steps of the encoder must divide the 49 pixels that it reads in equal parts, "
        "not be 8",
    ):
        train(replace(SMALL, encoder=Encoder(name="sequence", steps=8)), data, progress=False)


@pytest.mark.parametrize(
    ("module", "words", "message"),
    [
        (bntt_train, ["--net", "rate", "--data", "nowhere"], "data folder must be a folder"),
        (
            bntt_train,
            ["--net", "sequence", "--epochs", "0"],
            "epochs of the training must be in 1..1048576, not 0",
        ),
        (
            bntt_train,
            ["--net", "sequence", "--gamma-decay", "0.016"],
            "gamma_decay of the training must be left as it is for adam, which has no weight "
            "decay, not 0.016",
        ),
        (ecc_train, ["--bits", "14"], "weight bits must be in 2..13 for 4 bits of a pixel, not 14"),
        (ecc_train, ["--steps", "0"], "steps of the training must be in 1..65536, not 0"),
    ],
)
def test_command_lines_that_cannot_work_exit_2(
    module: ModuleType,
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    check_refused(module, words, message, tmp_path, monkeypatch, capsys)
