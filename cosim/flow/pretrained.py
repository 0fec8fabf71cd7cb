"""The trained nets that come with the package, by name, as integer networks.

A net is a file of golden/rules/checkpoints, gzipped or not: an integer network (safetensors) or a
rule's own net that converts to one. Its metadata say how it was trained, what it scored, and which
rule and arguments train it again.
"""

import json
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.golden.data import coloured
from spikeloop.golden.data.datasets import Dataset, check_scoring, load_mnist
from spikeloop.golden.data.encoders import Encoder
from spikeloop.golden.data.indian_pines import load_indian_pines
from spikeloop.golden.nets.files import kept_files, read_net
from spikeloop.golden.rules.qstdb import net as qstdb
from spikeloop.golden.rules.qstdb.network import PIXELS, encode, to_network
from spikeloop.golden.rules.scatter_gather import net as scatter_gather
from spikeloop.golden.training.command import training_command
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus

__all__ = ["Net", "load", "write_pretrained"]

PINES = re.compile(r"indian-pines-seed(\d+)")
"""The source of Indian Pines in a net's metadata; its seed chooses the split."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Net:
    """A trained net.

    accuracy: of the float and the integer net on all test images of its data set, fractions.
    metadata: of its file.
    encode:   turns images ``[n, pixels]`` into spikes by input and pixels of a PIM layer.
    load_data: loads the data set of a net that was not trained on MNIST; None for the others.
    """

    name: str
    rule: str
    network: Network
    accuracy: dict[str, float | None]
    metadata: dict[str, Any]
    encode: Callable[[np.ndarray], tuple[dict[str, np.ndarray], dict[str, np.ndarray]]]
    load_data: Callable[[], Dataset] | None = None

    @property
    def command(self) -> list[str]:
        """Module and arguments that train the net; ``FOLDER`` stands for the data folder."""
        return training_command(self.metadata["command"])

    def check_samples(self, data: Dataset, samples: int) -> None:
        """InputError unless ``data`` has this many test images."""
        count = len(data.test_images)
        if not 0 < samples <= count:
            raise InputError(
                f"samples must be in 1..{count} (the test images there are), not {samples}"
            )

    def stimulus(self, data: Dataset, samples: int | None = None) -> Stimulus:
        """The first ``samples`` test images (None: all) as a stimulus.

        It has no labels if the net may have been trained on these images: they then serve a
        comparison, but no score.
        """
        count = len(data.test_images) if samples is None else samples
        self.check_samples(data, count)
        try:
            check_scoring(self.metadata["dataset"]["source"], data)
            labels = data.test_labels[:count]
        except InputError:
            labels = None
        spikes, pixels = self.encode(data.test_images[:count])
        return Stimulus.pack(spikes, labels, pixels)


def load(name: str, path: Path | None = None) -> Net:
    """The kept net ``name``, or the net trained into ``path``.

    InputError for a name that is not kept, and for a file that is not a trained net.
    """
    files = kept_files()
    if path is None and name not in files:
        raise InputError(f"net must be one of {', '.join(files)}, not {name!r}")
    path = path or files[name]
    data = read_net(path, f"net {str(path)!r}", "spikeloop zoo lists those that are kept")
    try:
        return _net(name, path, data)
    except (AttributeError, KeyError, TypeError) as error:  # other metadata than a trainer writes
        raise InputError(
            f"metadata of net {str(path)!r} must be those of a trained net, not others "
            f"({error!r}): train it again"
        ) from None


def _net(name: str, path: Path, data: bytes) -> Net:
    about = _metadata(data)
    if "spikeloop_scatter_gather" in about:
        ann = scatter_gather.load(path)
        # of the quantised ANN, which is exactly what the chip computes
        score = ann.metadata["accuracy"]["chip"]
        in_colour = ann.layers[0].conv.source == coloured.SHAPE
        return Net(
            name=name,
            rule="scatter-gather",
            network=ann.to_network(readout_on_chip=True),
            metadata=ann.metadata,
            accuracy={"float": score, "integer": score},
            encode=lambda images: (
                ann.encode(coloured.coloured(images) if in_colour else images),
                {},
            ),
        )
    if "spikeloop_qstdb" in about:
        net = qstdb.QstdbNet.load(path)
        score = net.metadata["accuracy"]
        pines = PINES.fullmatch(net.metadata["dataset"]["source"])
        return Net(
            name=name,
            rule="q-stdb",
            network=to_network(net, signed=bool(pines)),
            metadata=net.metadata,
            accuracy={"float": score["affine"], "integer": score["integer"]},
            encode=lambda images: (
                ({}, {PIXELS: images}) if net.pim else ({PIXELS: encode(images, net.steps)}, {})
            ),
            load_data=partial(load_indian_pines, int(pines[1])) if pines else None,
        )
    network = Network.from_bytes(data, str(path))
    facts, encoder = network.metadata, Encoder(**network.metadata["encoder"])
    return Net(
        name=name,
        rule=facts["rule"],
        network=network,
        metadata=facts,
        accuracy={"float": facts["accuracy_float"], "integer": facts["accuracy_integer"]},
        encode=lambda images: ({network.inputs[0].name: encoder(images)}, {}),
    )


def _metadata(data: bytes) -> dict[str, Any]:
    """``__metadata__`` of a safetensors file; empty for another file, which its reader refuses."""
    try:
        (length,) = struct.unpack("<Q", data[:8])
        metadata: dict[str, Any] = json.loads(data[8 : 8 + length]).get("__metadata__", {})
        return metadata
    except (ValueError, AttributeError, struct.error):
        return {}


def write_pretrained(
    name: str, data: Path | None, samples: int | None, folder: Path
) -> tuple[Network, Stimulus]:
    """Write network.safetensors and stimulus.npz of net ``name`` into ``folder``.

    The stimulus is the first ``samples`` test images of ``data``, the folder of MNIST, or of the
    net's own data set.
    """
    net = load(name)
    images = net.load_data() if net.load_data else load_mnist(data)
    stimulus = net.stimulus(images, samples)
    net.network.save(folder / "network.safetensors")
    stimulus.save(folder / "stimulus.npz")
    return net.network, stimulus
