"""Test images to a stimulus, and the score of the float net on its spikes."""

from pathlib import Path
from typing import Any

from spikeloop.cosim.stages.images import Images
from spikeloop.golden.data.encoders import Encoder
from spikeloop.golden.nets.layers import FloatNet
from spikeloop.golden.training.train import accuracy
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus

__all__ = ["make"]


def make(
    *, output: Path, network: Path, float_net: Path, images: Images, samples: int | None
) -> dict[str, Any]:
    """Encode the first ``samples`` test images (None: all) and save the stimulus.

    Returns ``float``, the accuracy of the float net on these images (a fraction).
    """
    data, target = images.load(), Network.load(network)
    if samples is not None and samples > len(data.test_labels):
        raise InputError(
            f"samples must be at most {len(data.test_labels)} (the test images there are), "
            f"not {samples}"
        )
    pixels, labels = data.test_images[:samples], data.test_labels[:samples]
    spikes = Encoder(**target.metadata["encoder"])(pixels)
    Stimulus.pack({target.inputs[0].name: spikes}, labels).save(output)
    return {"float": accuracy(FloatNet.load(float_net), spikes, labels)}
