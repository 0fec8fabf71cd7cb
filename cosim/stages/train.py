"""Images to a float net."""

from pathlib import Path
from typing import Any

from spikeloop.cosim.stages.images import Images
from spikeloop.golden.data.encoders import Encoder
from spikeloop.golden.training.device import CPU, training_on
from spikeloop.golden.training.train import TrainConfig, train

__all__ = ["config", "make"]


def config(*, encoder: str, steps: int, **settings: Any) -> TrainConfig:
    """The configuration of golden's training. InputError for one that cannot be trained."""
    return TrainConfig(encoder=Encoder(name=encoder, steps=steps), **settings)


def make(
    *,
    output: Path,
    images: Images,
    checkpoint: Path | None = None,
    device: str = CPU,
    progress: bool = True,
    **settings: Any,
) -> dict[str, Any]:
    """Train a net and save it.

    ``checkpoint``: file that a killed training goes on from; removed at its end.
    ``device``: where torch trains; InputError for one that it does not have.
    Returns ``accuracy`` (a fraction, on the test images) and ``dataset`` (source and counts).
    """
    with training_on(device):
        net = train(config(**settings), images.load(), checkpoint=checkpoint, progress=progress)
    if device != CPU:  # the usual one is not named, so that its files stay as they are
        net.metadata["training"]["device"] = device
    net.save(output)
    if checkpoint:
        checkpoint.unlink()
    return {"accuracy": net.metadata["accuracy_float"], "dataset": net.metadata["dataset"]}
