"""The files of float nets: safetensors with JSON in the header, never pickle."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from spikeloop.pysim.common.errors import InputError

__all__ = ["read_safetensors"]


def read_safetensors(
    path: str | Path, *, what: str, key: str, version: int, writer: str, framework: str
) -> tuple[dict[str, Any], dict]:
    """Header (the JSON object under ``key``) and tensors by name.

    what:      the file in the sentence of an error.
    version:   that the header must have.
    writer:    what writes files of this kind, for errors.
    framework: of the tensors, "np" or "pt".
    InputError for anything but a sound file of this kind.
    """
    try:
        with safe_open(path, framework) as file:
            header = json.loads((file.metadata() or {})[key])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise InputError(f"{what} is missing: {writer} writes one") from None
    except OSError as error:
        raise InputError(f"{what} must be readable, not refused ({error})") from None
    except (SafetensorError, KeyError, ValueError):
        raise InputError(
            f"{what} must be a safetensors file written by {writer}, not this one "
            "(truncated, damaged or another format)"
        ) from None
    stated = header.get("version") if isinstance(header, dict) else header
    if not isinstance(header, dict) or stated != version:
        raise InputError(f"{what} must be of version {version}, not {stated!r}")
    return header, tensors
