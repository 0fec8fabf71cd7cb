"""One node of an imported graph."""

import re
from dataclasses import dataclass
from typing import Any

__all__ = ["Node", "identifier"]


@dataclass(frozen=True, eq=False)
class Node:
    """A node of a graph.

    kind:     NIR's name of the primitive.
    values:   its arrays (float64, int64 or str).
    metadata: what its writer added.
    """

    name: str
    kind: str
    values: dict[str, Any]
    metadata: dict[str, Any]


def identifier(name: str) -> str:
    """A name that our networks allow."""
    clean = re.sub(r"[^0-9A-Za-z_]", "_", name)[:48]
    return clean if clean.isidentifier() else f"n{clean}"
