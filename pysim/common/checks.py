"""What descriptions made of plain fields share: the check of a whole number, and the way from a dict."""

from dataclasses import fields
from typing import Any

from spikeloop.pysim.common.errors import InputError

__all__ = ["check_int", "from_exactly"]


def check_int(what: str, value: Any, low: int, high: int) -> None:
    """InputError unless ``value`` is an int (no bool, no numpy number) in low..high."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InputError(f"{what} must be in {low}..{high}, not {value!r}")


def from_exactly(cls: type, values: Any, what: str) -> Any:
    """The dataclass ``cls`` of a dict that has its fields, all of them and no other; InputError for anything else."""
    known = {f.name for f in fields(cls)}
    if not isinstance(values, dict) or set(values) != known:
        raise InputError(
            f"{what} must be exactly {', '.join(sorted(known))}, "
            f"not {', '.join(sorted(values)) if isinstance(values, dict) else values!r}"
        )
    return cls(**values)
