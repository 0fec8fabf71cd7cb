"""Images to a float net."""

from pathlib import Path
from typing import Any

from spikeloop.cosim.stages.images import Images
from spikeloop.golden.data.encoders import Encoder
from spikeloop.golden.training.train import TrainConfig, train

__all__ = ["config", "make"]


def config(*, encoder: str, steps: int, **settings: Any) -> TrainConfig:
    """The configuration of golden's training. InputError for one that cannot be trained."""
    return TrainConfig(encoder=Encoder(name=encoder, steps=steps), **settings)


def make(*, output: Path, images: Images, progress: bool = True, **settings: Any) -> dict[str, Any]:
    """Train a net and save it.

    Returns ``accuracy`` (a fraction, on the test images) and ``source`` (name of the data set).
    """
    net = train(config(**settings), images.load(), progress=progress)
    net.save(output)
    return {"accuracy": net.metadata["accuracy_float"], "source": net.metadata["dataset"]["source"]}
