"""Checkpoints of a training: everything that later epochs depend on, written and read back.

A checkpoint holds parameters and buffers of the net, the state of optimiser and schedule, the
random generators and the history. It is written whole or not at all. It can be read on any device;
only the generator of a device that is another one now is then left aside.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

from spikeloop.golden.nets.files import read_safetensors
from spikeloop.golden.training.device import CPU
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import write_atomic

__all__ = ["keep", "restore"]


VERSION = 1


def keep(
    path: Path,
    labels: dict[str, Any],
    net: nn.Module,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler | None,
    rng: np.random.Generator,
    history: list[dict[str, Any]],
) -> None:
    """Write the checkpoint; ``labels`` (JSON) identify the training."""
    tensors = {f"net.{name}": tensor for name, tensor in net.state_dict().items()}
    tensors["torch"] = torch.get_rng_state()
    if (device := _device(net)).type != CPU:
        tensors[f"device.{device.type}"] = torch.get_device_module(device).get_rng_state(device)
    state, numbers = optimiser.state_dict(), dict[str, dict[str, Any]]()
    for i, entry in state["state"].items():
        numbers[str(i)] = {
            key: value for key, value in entry.items() if not isinstance(value, Tensor)
        }
        tensors |= {
            f"optimiser.{i}.{key}": value
            for key, value in entry.items()
            if isinstance(value, Tensor)
        }
    header = {
        "version": VERSION,
        "labels": labels,
        "history": history,
        "rng": rng.bit_generator.state,
        "optimiser": {"state": numbers, "param_groups": state["param_groups"]},
        "schedule": _changing(schedule) if schedule else None,
    }
    copies = {  # some tensors are shared, and the format does not allow that
        name: tensor.detach().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    write_atomic(path, save(copies, {"spikeloop_training": json.dumps(header)}))


def _changing(schedule: torch.optim.lr_scheduler.LRScheduler) -> dict[str, Any]:
    """The state of a schedule that changes; milestones and functions come from the caller."""
    state = schedule.state_dict()
    return {key: value for key, value in state.items() if isinstance(value, (int, float, list))}


def _device(net: nn.Module) -> torch.device:
    return next(net.parameters()).device


def restore(
    path: Path,
    labels: dict[str, Any],
    net: nn.Module,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler | None,
    rng: np.random.Generator,
) -> list[dict[str, Any]]:
    """Read what :func:`keep` wrote back into ``net``, ``optimiser``, ``schedule`` and ``rng``.

    Returns the history. InputError for a file that is damaged or whose labels differ.
    """
    what = f"checkpoint {str(path)!r}"
    header, tensors = read_safetensors(
        path,
        what=what,
        key="spikeloop_training",
        version=VERSION,
        writer="a training",
        framework="pt",
    )
    same = json.loads(json.dumps(labels))
    if header["labels"] != same:
        differ = [key for key in same if header["labels"].get(key) != same[key]]
        raise InputError(
            f"{what} must be of this training, not of one that differs in {', '.join(differ)}: "
            "delete it to begin anew"
        )
    parts: dict[str, dict[str, Tensor]] = {"net": {}, "optimiser": {}, "torch": {}, "device": {}}
    for name, tensor in tensors.items():
        part, _, rest = name.partition(".")
        parts[part][rest] = tensor
    net.load_state_dict(parts["net"])
    state = {int(i): dict(numbers) for i, numbers in header["optimiser"]["state"].items()}
    for name, tensor in parts["optimiser"].items():
        i, _, key = name.partition(".")
        state[int(i)][key] = tensor
    optimiser.load_state_dict({"state": state, "param_groups": header["optimiser"]["param_groups"]})
    if schedule:
        schedule.load_state_dict(header["schedule"])
    rng.bit_generator.state = header["rng"]
    torch.set_rng_state(parts["torch"][""].cpu())
    if (draws := parts["device"].get((device := _device(net)).type)) is not None:
        torch.get_device_module(device).set_rng_state(draws.cpu(), device)
    history: list[dict[str, Any]] = header["history"]
    return history
