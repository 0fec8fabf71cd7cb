"""Float nets' files: safetensors with JSON in the header. Never pickle."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from spikeloop.pysim.common.errors import InputError

__all__ = ["read_safetensors"]


def read_safetensors(
    path: str | Path, *, what: str, key: str, version: int, writer: str, framework: str
) -> tuple[dict[str, Any], dict]:
    """Header (the JSON under ``key``, an object of this ``version``) and tensors by name, as ``framework`` ("np", "pt") has them.

    InputError, in which ``what`` names the file and ``writer`` what writes such ones, for anything else.
    """
    try:
        with safe_open(path, framework) as file:
            header = json.loads((file.metadata() or {})[key])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except OSError as error:
        raise InputError(f"{what} must be readable, not missing or closed ({error})") from None
    except (SafetensorError, KeyError, ValueError):
        raise InputError(
            f"{what} must be a safetensors file written by {writer}, not this one "
            "(truncated, damaged or another format)"
        ) from None
    if not isinstance(header, dict) or header.get("version") != version:
        raise InputError(
            f"{what} must be of version {version}, not {header.get('version') if isinstance(header, dict) else header!r}"
        )
    return header, tensors
