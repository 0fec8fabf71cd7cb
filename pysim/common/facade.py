"""Names that a package has at its top, each found in its module when it is asked for: importing the package stays quick."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["public"]


def public(package: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """The ``__getattr__`` (PEP 562) of ``package`` for ``names``: public name to the module that has it."""
    def find(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{names[name]}"), name)
    return find
