"""Q-STDB nets on the chip without a macro: bit planes of pixels, 3-D maps as 2-D ones."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from spikeloop.golden.reference import integer
from spikeloop.golden.rules.qstdb.indian_pines import cnn3d
from spikeloop.golden.rules.qstdb.integer import run_integers
from spikeloop.golden.rules.qstdb.net import Layer, QstdbNet
from spikeloop.golden.rules.qstdb.network import PIXELS, encode, to_network
from spikeloop.golden.rules.qstdb.satellite import small_cnn3d
from spikeloop.pysim.chip.params import PRESETS
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.pim.window import PimWindow
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.make.qstdb_nets import small
from tests.make.rule_nets import spikes_on_rtl

CHIP = PRESETS["full"].replace(extension=4)


def chained(*convolutions: tuple[int, tuple[int, ...], tuple[int, ...], tuple[int, ...]]) -> list:
    """Layers of (channels, kernel, stride, padding) on a map of 4 x 3 x 6, and a classifier."""
    layers, source = list[Layer](), (2, 4, 3, 6)
    for i, (channels, kernel, stride, padding) in enumerate(convolutions):
        window = PimWindow(source=source, kernel=kernel, stride=stride, padding=padding)
        layers.append(Layer(name=f"conv{i}", window=window, channels=channels))
        source = layers[-1].target  # type: ignore[assignment]
    last = PimWindow.make((int(np.prod(source)),))
    return [*layers, Layer(name="out", window=last, channels=3)]


def random_net(layers: Sequence[Layer], seed: int, bits: int = 6) -> QstdbNet:
    """Random leaks, and thresholds at which neurons spike."""
    torch.manual_seed(seed)
    net = QstdbNet(layers, bits=bits, unit=32.0)
    with torch.no_grad():
        net.leak.uniform_(0.5, 1)
        net.threshold.uniform_(0.1, 0.4)
    return net.eval()


NETS = {
    "2-D": small,
    "rows in and out of padding": lambda seed: random_net(
        chained((3, (3, 2, 3), (2, 1, 2), (1, 0, 1)), (4, (2, 1, 1), (1, 1, 1), (1, 1, 0))), seed
    ),
    "a row alone": lambda seed: random_net(chained((3, (1, 3, 2), (3, 1, 1), (0, 1, 0))), seed, 4),
    "no convolution": lambda seed: random_net(
        [
            Layer(name="a", window=PimWindow.make((30,)), channels=12),
            Layer(name="b", window=PimWindow.make((12,)), channels=3),
        ],
        seed,
        8,
    ),
}


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("name", NETS)
def test_the_network_computes_the_integers(name: str, signed: bool, seed: int) -> None:
    """The integers run on torch's own convolutions, 3-D ones too."""
    net = NETS[name](seed)
    rng = np.random.default_rng(seed)
    shape = (30, int(np.prod(net.layers[0].window.source)))
    x = rng.integers(*((-128, 128) if signed else (0, 256)), shape)
    x = x.astype(np.int8 if signed else np.uint8)
    network = to_network(net, signed=signed)
    trace = integer.run(network, {PIXELS: encode(x, net.steps)})
    out, spikes = run_integers(net, x)
    assert np.array_equal(trace.membranes[network.output][:, -1], out)
    for layer, got in zip(net.layers, spikes, strict=False):
        assert got.any()
        assert np.array_equal(trace.spikes[layer.name], got)
    assert not any(clips.any() for clips in trace.saturations.values())


def test_other_maps_and_images_are_refused() -> None:
    first = Layer(name="a", window=PimWindow.make((2, 9), (3,)), channels=2)
    net = random_net([first, Layer(name="b", window=PimWindow.make((14,)), channels=3)], 0)
    with pytest.raises(InputError, match="maps of layer 'a' for the chip must be 2-D or 3-D"):
        to_network(net)
    with pytest.raises(InputError, match="images must be uint8"):
        encode(np.zeros((2, 5), np.int64), 3)


@pytest.mark.parametrize("signed", [False, True])
def test_a_net_of_patches_runs_on_the_chip(signed: bool, seed: int) -> None:
    """The net for Satellite, with random weights."""
    net = random_net(small_cnn3d(), seed)
    x = np.random.default_rng(seed).integers(0, 256, (3, 36)).astype(np.uint8)
    if signed:
        x = x.view(np.int8)
    stimulus = Stimulus.pack({PIXELS: encode(x, net.steps)})
    spikes_on_rtl(to_network(net, signed=signed), stimulus, CHIP)


@pytest.mark.slow
def test_cnn_3d_runs_on_the_chip(seed: int) -> None:
    """The paper's net for Indian Pines, with random weights, on a random patch."""
    net = random_net(cnn3d(), seed)
    x = np.random.default_rng(seed).normal(0, 32, (1, 5000)).clip(-128, 127).astype(np.int8)
    network = to_network(net, signed=True)
    maps = 20 * 9 * 198 + 40 * 9 * 99 + 84 * (99 + 50 + 50 + 26)
    assert sum(p.size for p in network.populations) == maps + 16
    stimulus = Stimulus.pack({PIXELS: encode(x, net.steps)})
    spikes_on_rtl(network, stimulus, CHIP)
