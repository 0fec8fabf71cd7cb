"""Checkpoints of a training: everything that the epochs to come depend on, written and read back."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

from spikeloop.golden.nets.files import read_safetensors
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
    tensors = {f"net.{name}": t for name, t in net.state_dict().items()} | {
        "torch": torch.get_rng_state()
    }
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
        # what changes; milestones and functions are the caller's
        "schedule": schedule
        and {k: v for k, v in schedule.state_dict().items() if isinstance(v, (int, float, list))},
    }
    held = {
        name: t.detach().clone(memory_format=torch.contiguous_format) for name, t in tensors.items()
    }  # clone: some are shared
    write_atomic(path, save(held, {"spikeloop_training": json.dumps(header)}))


def restore(
    path: Path,
    labels: dict[str, Any],
    net: nn.Module,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler | None,
    rng: np.random.Generator,
) -> list[dict[str, Any]]:
    """Everything as :func:`keep` found it; the history."""
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
            f"{what} must be of this training, not of one that differs in {', '.join(differ)}: delete it to begin anew"
        )
    parts: dict[str, dict[str, Tensor]] = {"net": {}, "optimiser": {}, "torch": {}}
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
    torch.set_rng_state(parts["torch"][""])
    history: list[dict[str, Any]] = header["history"]
    return history
