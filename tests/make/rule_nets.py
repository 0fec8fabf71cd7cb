"""What the tests of several learning rules share: a small MNIST and a small chip for their nets."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from spikeloop.cosim.backends import open_backend
from spikeloop.cosim.compare.compare import Case, compare
from spikeloop.cosim.verilator.build import Options
from spikeloop.golden.data.datasets import Dataset, load_mnist
from spikeloop.golden.data.encoders import Encoder
from spikeloop.golden.training.loop import LoopConfig
from spikeloop.pysim.bundle.program import compile_program
from spikeloop.pysim.chip.params import PRESETS, Chip
from spikeloop.pysim.image.image import Bundle
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus

__all__ = [
    "FAST",
    "check_refused",
    "check_same_bits",
    "compare_on_rtl",
    "small_mnist",
    "spikes_on_rtl",
]

CHIP = PRESETS["tiny"].replace(
    axons=128, columns=1024, lanes=32, extension=8, pages=32, page_shift=3
)

FAST: dict[str, Any] = {"options": Options(optimise=False)}
"""Options of the backend verilator for a model that runs little."""


def small_mnist(
    height: int, width: int, *, edge: int = 0, train: int = 2000, test: int = 500
) -> Dataset:
    """The embedded images without ``edge`` pixels on each side, of ``height`` x ``width`` pixels.

    Each pixel is the mean of a block.
    """
    whole, middle, side = load_mnist(), slice(edge, 28 - edge), 28 - 2 * edge

    def small(images: np.ndarray, count: int) -> np.ndarray:
        inner = images[:count].reshape(-1, 28, 28)[:, middle, middle]
        blocks = inner.reshape(-1, height, side // height, width, side // width)
        return blocks.mean((2, 4)).astype(np.uint8).reshape(-1, height * width)

    return replace(
        whole,
        train_images=small(whole.train_images, train),
        train_labels=whole.train_labels[:train],
        test_images=small(whole.test_images, test),
        test_labels=whole.test_labels[:test],
    )


def check_same_bits(
    train: Callable[..., Network], config: LoopConfig, data: Dataset, folder: Path
) -> Network:
    """Training on 300 images gives the same net without a checkpoint, with one, and from its end.

    Another seed gives another net. Returns the net.
    """
    few = replace(data, train_images=data.train_images[:300], train_labels=data.train_labels[:300])
    kept = folder / "kept"
    nets = [train(config, few, checkpoint=path, progress=False) for path in (None, kept, kept)]
    assert len({net.sha256() for net in nets}) == 1
    assert train(replace(config, seed=1), few, progress=False).sha256() != nets[0].sha256()
    return nets[0]


def check_refused(
    module: ModuleType,
    words: list[str],
    message: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The command line of a rule exits 2 with a sentence, which begins with ``message``.

    It writes nothing.
    """
    monkeypatch.setattr("sys.argv", ["train", "--out", str(folder / "net.safetensors"), *words])
    with pytest.raises(SystemExit) as stopped:
        module.main()
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith(message)
    assert not list(folder.iterdir())


def compare_on_rtl(network: Network, images: np.ndarray, chip: Chip = CHIP) -> Bundle:
    """Compare golden, pysim and the Verilated chip on ``images``; all must be equal.

    The images are encoded as the network's metadata say. Returns what ran on the chip.
    """
    spikes = Encoder(**network.metadata["encoder"])(images)
    return spikes_on_rtl(network, Stimulus.pack({network.inputs[0].name: spikes}), chip)


def spikes_on_rtl(network: Network, stimulus: Stimulus, chip: Chip) -> Bundle:
    """The same on a stimulus."""
    bundle = compile_program(network, chip)
    result = compare(
        Case(network, stimulus),
        ["golden", "pysim", "verilator"],
        lambda name: open_backend(name, network, bundle, **(FAST if name == "verilator" else {})),
    )
    neurons = sum(p.size for p in network.populations)
    assert result.failures() == []
    assert result.cycles_measured == result.cycles_predicted > 0
    assert result.neuron_ticks == stimulus.samples * network.steps * neurons
    return bundle
