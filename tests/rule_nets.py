"""What the tests of several rules share: small MNIST, and a small chip of 32 pages on which their nets run."""

from dataclasses import replace

import numpy as np

from cosim.backends import open_backend
from cosim.compare import Result, compare
from cosim.verilate import Options
from golden.datasets import Dataset, load_mnist
from golden.encoders import Encoder
from pysim.network import Network
from pysim.params import PRESETS
from pysim.program import compile_program
from pysim.trace import Stimulus

__all__ = ["compare_on_rtl", "small_mnist"]

CHIP = PRESETS["tiny"].replace(axons=128, columns=1024, lanes=32, extension=8, pages=32)


def small_mnist(side: int, factor: int, train: int = 2000, test: int = 500) -> Dataset:
    """The embedded images: the ``side`` x ``side`` blocks in the middle, of ``factor`` x ``factor`` pixels, each their mean."""
    whole, edge = load_mnist(), (28 - side * factor) // 2

    def small(images: np.ndarray, count: int) -> np.ndarray:
        inner = images[:count].reshape(-1, 28, 28)[:, edge:edge + side * factor, edge:edge + side * factor]
        return inner.reshape(-1, side, factor, side, factor).mean((2, 4)).astype(np.uint8).reshape(-1, side**2)

    return replace(whole, train_images=small(whole.train_images, train), train_labels=whole.train_labels[:train],
                   test_images=small(whole.test_images, test), test_labels=whole.test_labels[:test])


def compare_on_rtl(network: Network, images: np.ndarray) -> Result:
    """Golden, pysim and the Verilated chip on ``images``, encoded as the network's metadata say, which must be equal throughout."""
    spikes = Encoder(**network.metadata["encoder"])(images)
    bundle, options = compile_program(network, CHIP), {"verilator": {"options": Options(optimise=False)}}
    result = compare(network, Stimulus.pack({network.inputs[0].name: spikes}), ["golden", "pysim", "verilator"],
                     lambda name: open_backend(name, network, bundle, **options.get(name, {})))
    assert result.failures() == [] and result.cycles_measured == result.cycles_predicted > 0
    assert result.neuron_ticks == len(images) * network.steps * sum(p.size for p in network.populations)
    return result
