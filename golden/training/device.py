"""The device that trainings run on: the CPU, or what ``with training_on("cuda"):`` names.

golden/training/loop.py moves the net there and back. All that comes before and after a training is
computed on the CPU: the initial weights, the order of the images, scores, and the integer network.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import nn

from spikeloop.pysim.common.errors import InputError

__all__ = ["CPU", "devices", "placed", "training_on"]

CPU = "cpu"
_chosen = ContextVar("device of trainings", default=CPU)


def devices() -> list[str]:
    """Names of the devices that torch has here for a training, the CPU first."""
    found = torch.accelerator.current_accelerator(check_available=True)
    if found is None or found.type == "mps":  # it has no float64, which some nets hold
        return [CPU]
    return [
        CPU,
        found.type,
        *(f"{found.type}:{i}" for i in range(torch.accelerator.device_count())),
    ]


@contextmanager
def training_on(name: str) -> Iterator[None]:
    """Trainings inside the block run on a device of :func:`devices`.

    InputError for any other name.
    """
    if name not in (here := devices()):
        raise InputError(
            f"device must be one that torch has here ({', '.join(here)}), not {name!r}"
        )
    token = _chosen.set(name)
    try:
        yield
    finally:
        _chosen.reset(token)


@contextmanager
def placed(net: nn.Module) -> Iterator[torch.device]:
    """Inside the block ``net`` is on the device of trainings, and so are new tensors.

    It comes back when the block ends; after an error it stays there. The caller's random generators
    are put back in either case.
    """
    device = torch.device(_chosen.get())
    if device.type == CPU:  # without the mode of a default device, which costs time in each call
        with torch.random.fork_rng(devices=[]):
            yield device
        return
    net.to(device)
    with torch.random.fork_rng([device], device_type=device.type), device:
        yield device
    net.to(CPU)
