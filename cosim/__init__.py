"""Builds, the native harness, backends, comparison, reports and the command line.

``from cosim import NAME`` finds the names of :data:`NAMES` (docs/api.md), each in its module when it is asked for.
"""

from importlib import import_module
from typing import Any

NAMES = {
    "Backend": "link",
    "Result": "compare",
    "Run": "run",
    "open_backend": "backends",
    "verify": "backends",
}
"""public name: the module that has it"""


def __getattr__(name: str) -> Any:
    if name not in NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{NAMES[name]}"), name)
