"""The file of a scatter-and-gather net: written, read back, and refused where it is damaged."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikeloop.golden.rules.scatter_gather.net import load
from spikeloop.pysim.common.errors import InputError
from tests.golden.rules.scatter_gather.nets import random_net


def test_file_round_trip(rng: np.random.Generator, tmp_path: Path):
    net = random_net(rng, 1, 2).with_metadata(made="here")
    first = net.save(tmp_path / "net.safetensors").read_bytes()
    again = load(tmp_path / "net.safetensors")
    assert again.save(tmp_path / "again.safetensors").read_bytes() == first
    assert (
        again.metadata == {"made": "here"}
        and again.to_network().sha256() == net.to_network().sha256()
    )


def test_damaged_files_are_refused(rng: np.random.Generator, tmp_path: Path):
    path = random_net(rng, 0, 1).save(tmp_path / "net.safetensors")
    data = path.read_bytes()
    for bad in (
        b"",
        data[:100],
        data[:-1],
        data.replace(b"spikeloop_scatter_gather", b"spikeloop_scatter_gathes"),
    ):
        path.write_bytes(bad)
        with pytest.raises(InputError, match="must be a safetensors file written by"):
            load(path)
    path.write_bytes(data.replace(b'\\"version\\": 1', b'\\"version\\": 9'))
    with pytest.raises(InputError, match="must be of version 1, not 9"):
        load(path)
    path.write_bytes(data.replace(b'\\"bound\\"', b'\\"bounc\\"'))
    with pytest.raises(InputError, match="must be complete, not without 'bound'"):
        load(path)
    path.write_bytes(data.replace(b'\\"metadata\\": {}', b'\\"metadata\\": []'))
    with pytest.raises(InputError, match=r"metadata of .* must be an object, not \[\]"):
        load(path)
    with pytest.raises(InputError, match="is missing: "):
        load(tmp_path / "absent")


def test_unsound_nets_are_refused(rng: np.random.Generator):
    net = random_net(rng, 0, 1)
    first, second, *rest = net.layers

    def with_second(**parts: object) -> dict[str, object]:
        return {"layers": (first, replace(second, **parts), *rest)}  # type: ignore[arg-type]

    for parts, words in (
        ({"k": 5}, "k of a scatter-and-gather net must be in 0..4, not 5"),
        ({"bound": 0}, "bound .* must be in 1..16, not 0"),
        ({"layers": net.layers[:1]}, "two or more layers"),
        ({"layers": (first, *rest)}, "source of layer 'pool1' must be the whole map"),
        (with_second(weights=second.weights * 2), "must be ternary"),
        (with_second(weights=second.weights.astype(np.float32)), "must be int8"),
        (with_second(sigma=-1 - second.sigma), "sigma of layer 'conv2' must be at least 0"),
        (with_second(beta=second.beta * np.nan), "beta of layer 'conv2' must be finite"),
        ({"readout": net.readout[:, 1:]}, "readout must be int8 of shape"),
    ):
        with pytest.raises(InputError, match=words):
            replace(net, **parts)  # type: ignore[arg-type]
