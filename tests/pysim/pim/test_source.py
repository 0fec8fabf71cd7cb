"""pysim.pim.source: the place of a PIM layer in a network and in its file.

The pixels in a stimulus.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.tensors import decode, encode
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.pim.source import PimSource
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.make.pim_cases import pim_network


def test_file_gives_back_the_same_network(tmp_path: Path) -> None:
    network = pim_network(np.random.default_rng(1), held=False)
    again = Network.load(network.save(tmp_path / "net.safetensors"))
    assert again.to_bytes() == network.to_bytes() and again.pim.head == network.pim.head
    for name in ("weights", "bias", "gain", "offset", "stuck0", "stuck1", "keep"):
        assert np.array_equal(getattr(again.pim.layer, name), getattr(network.pim.layer, name))
    plain = replace(network, name="plain", pim=None)
    assert b"pim" not in plain.to_bytes() and Network.from_bytes(plain.to_bytes()).pim is None


def changed(network: Network, *, tensors: dict | None = None, **entries) -> bytes:
    """The file with other entries of the graph's ``pim`` or other tensors."""
    header, arrays = decode(network.to_bytes(), "spikeloop", "network")
    header["pim"] |= entries
    return encode(header, {**arrays, **(tensors or {})}, "spikeloop", "network")


@pytest.mark.parametrize(
    "entries, message",
    [
        ({"target": "nobody"}, "population must be one of"),
        ({"name": "out"}, "unique"),
        ({"held": 1}, "held .* must be true or false"),
        ({"shift": 17}, r"shift .* must be in 0\.\.16, not 17"),
        ({"channels": 3}, "must be those of its weights"),
        ({"seed": -1}, "seed"),
        ({"window": {"source": ["x"], "kernel": [], "stride": [], "padding": []}}, "whole numbers"),
        ({"luck": 1}, "must be exactly"),
        (
            {"tensors": {"pim.weights": np.full((2, 9), 127, np.int8)}},
            r"4 bits must be in -8\.\.7, not 127",
        ),
        ({"tensors": {"pim.gain": np.zeros((1, 4), np.int64)}}, "must be int16"),
        ({"tensors": {"pim.currents": np.zeros(32, np.int64)}}, "must be different numbers"),
        ({"tensors": {"pim.currents": np.arange(31)}}, "one for each neuron"),
        ({"tensors": {"pim.luck": np.zeros(1)}}, "must all belong"),
    ],
)
def test_bad_files(entries: dict, message: str) -> None:
    network = pim_network(np.random.default_rng(1))
    with pytest.raises(InputError, match=message):
        Network.from_bytes(changed(network, **entries))


def test_stimulus(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    network = pim_network(rng)
    spikes, pixels = (
        {"lines": rng.integers(0, 2, (3, 4, 5))},
        rng.integers(0, 256, (3, 36)).astype(np.uint8),
    )
    stimulus = Stimulus.pack(spikes, np.arange(3), {"pixels": pixels})
    again = Stimulus.load(stimulus.save(tmp_path / "stimulus.npz"))
    again.check(network)
    assert (
        np.array_equal(again.take(slice(1, 3)).pixels["pixels"], pixels[1:]) and again.samples == 3
    )
    for wrong, message in (
        (Stimulus.pack(spikes), "not missing"),
        (Stimulus.pack(spikes, pixels={"other": pixels}), "not other"),
        (Stimulus.pack(spikes, pixels={"pixels": pixels[:, 1:]}), r"shape \(3, 36\)"),
        (Stimulus.pack(spikes, pixels={"pixels": pixels.astype(int)}), "must be uint8"),
    ):
        with pytest.raises(InputError, match=message):
            wrong.check(network)
    with pytest.raises(InputError, match="no PIM layer, not pixels"):
        stimulus.check(replace(network, pim=None))
    few = replace(
        network,
        pim=PimSource.make(
            "pixels",
            "first",
            replace(
                network.pim.layer,
                params=replace(network.pim.layer.params, pixel_bits=7, pulse_bits=7),
            ),
        ),
    )
    with pytest.raises(InputError, match=r"must be in 0\.\.127, not"):
        stimulus.check(few)
