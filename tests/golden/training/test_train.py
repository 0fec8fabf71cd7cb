"""Training: it learns, repeats itself bit for bit, and refuses what cannot work."""

from dataclasses import asdict, replace

import pytest
import torch

from spikeloop.golden.data.datasets import Dataset
from spikeloop.golden.data.encoders import Encoder
from spikeloop.golden.quantize.quantize import quantize
from spikeloop.golden.reference.integer import predict, run
from spikeloop.golden.training.train import TrainConfig, accuracy, train
from spikeloop.pysim.common.errors import InputError
from tests.make.rule_nets import small_mnist

SHORT = TrainConfig(layers=(784, 40, 10), encoder=Encoder(steps=6), epochs=4)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return small_mnist(28, 28, train=1500)


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(SHORT, id="rank_order"),
        pytest.param(replace(SHORT, recurrent=True), id="recurrent"),
        pytest.param(
            replace(SHORT, encoder=Encoder(name="rate", steps=6), spike_cost=1e-4), id="rate"
        ),
    ],
)
def test_short_training_learns_and_survives_quantisation(data: Dataset, config: TrainConfig):
    net = train(config, data, progress=False)
    assert net.metadata["accuracy_float"] > 0.7  # chance is 0.1
    assert net.metadata["encoder"] == asdict(config.encoder)
    assert net.metadata["dataset"] == {"source": data.source, "train": 1500, "test": 500}
    assert net.metadata["training"]["epochs"] == 4 and net.metadata["training"]["layers"] == [
        784,
        40,
        10,
    ]
    spikes = Encoder(**net.metadata["encoder"])(data.test_images)
    assert accuracy(net, spikes, data.test_labels) == net.metadata["accuracy_float"]
    network, report = quantize(net, spikes, data.test_labels)
    score = float((predict(network, run(network, {"input": spikes})) == data.test_labels).mean())
    assert score == report["accuracy"]["integer"] > net.metadata["accuracy_float"] - 0.05


def test_one_seed_gives_the_same_bits_whatever_the_threads(data: Dataset, tmp_path):
    config, threads = replace(SHORT, epochs=1), torch.get_num_threads()
    files = []
    try:
        for run_threads in (1, 2):
            torch.set_num_threads(run_threads)
            torch.manual_seed(run_threads)  # the caller's generator neither matters nor is touched
            before = torch.random.get_rng_state()
            files.append(
                train(config, data, progress=False).save(tmp_path / f"{run_threads}").read_bytes()
            )
            assert torch.get_num_threads() == run_threads and torch.equal(
                before, torch.random.get_rng_state()
            )
    finally:
        torch.set_num_threads(threads)
    assert files[0] == files[1]
    other = (
        train(replace(config, seed=1), data, progress=False).save(tmp_path / "other").read_bytes()
    )
    assert other != files[0]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"epochs": 0}, "epochs of the training must be in .*, not 0"),
        ({"batch": 1.5}, r"batch of the training must be in .*, not 1\.5"),
        ({"shift": 9}, r"shift of the training must be in 0\.\.8, not 9"),
        ({"seed": -1}, "seed of the training must be in .*, not -1"),
        ({"lr": float("nan")}, "lr of the training must be a number of at least 0, not nan"),
        (
            {"spike_cost": -1.0},
            r"spike_cost of the training must be a number of at least 0, not -1\.0",
        ),
    ],
)
def test_bad_settings_are_refused(change: dict, message: str):
    with pytest.raises(InputError, match=message):
        TrainConfig(**change)


def test_layers_that_do_not_fit_the_images_are_refused(data: Dataset):
    for layers in ((783, 10), (784, 9)):
        with pytest.raises(
            InputError,
            match=r"layers must begin with 784 \(pixels\) and end with at least 10 \(classes\), "
            "not be",
        ):
            train(replace(SHORT, layers=layers), data, progress=False)


def test_images_that_are_not_square_cannot_be_shifted(data: Dataset):
    flat = replace(
        data, train_images=data.train_images[:, :783], test_images=data.test_images[:, :783]
    )
    with pytest.raises(
        InputError,
        match="shift of the training must be 0 for images of 783 pixels, which are not square, "
        "not 1",
    ):
        train(replace(SHORT, layers=(783, 10)), flat, progress=False)


def test_training_that_diverges_is_refused(data: Dataset):
    with pytest.raises(InputError, match=r"loss of the training must be finite, not (nan|inf)"):
        train(replace(SHORT, lr=1e38, spike_cost=1e38), data, progress=False)
