"""What a NIR graph leaves open of a step: its length dt, how the threshold is compared, what a spike does to the membrane.

Each is taken from the options (:class:`Semantics`), else from the metadata of the nodes, else from what is known of the framework that
wrote the file, else from NIR's convention; whence it came is said.
"""

from dataclasses import dataclass
from typing import Any

from spikeloop.golden.interchange.common import Assumption
from spikeloop.golden.interchange.graph.node import Node
from spikeloop.pysim.common.errors import InputError

__all__ = ["FIXED", "SPIKING", "Semantics", "Settled"]

FIXED = {"compare": ">", "reset": "none", "fixed": True}
"""Metadata of a neuron whose kind says its step: a threshold, a pool of spikes."""
SPIKING = ("IF", "LIF", "Leaky")
RESETS = ("hard", "soft", "late", "none")
COMPARES = (">", ">=")
FRAMEWORKS: dict[str, dict[str, Any]] = {
    "snntorch": {"dt": 1e-4, "compare": ">", "reset": "late"},
    "spikingjelly": {"dt": 1e-4, "compare": ">=", "reset": "hard"},
    "norse": {
        "dt": 1e-6,
        "compare": ">",
        "reset": "hard",
    },  # its export multiplies tau by its dt, 1e-3: a step is then dt^2
    "sinabs": {"dt": 1.0, "compare": ">=", "reset": "soft"},
}
"""what the files of these do not say, as it is unless their users changed it"""


@dataclass(frozen=True)
class Semantics:
    """What NIR leaves open; None: as the file's metadata say (``dt``, ``compare``, ``reset``), else as ``framework`` has it by default,
    else by NIR's convention."""

    dt: float | None = None
    compare: str | None = None
    reset: str | None = None
    framework: str | None = None


class Settled:
    """``dt``; ``compare`` (of COMPARES) and ``reset`` (of RESETS) of each spiking node by name; ``assumed``: what was chosen, and why.

    origin: what has the metadata, "file" or "module". InputError if the nodes' metadata contradict one another, or a value is none.
    """

    def __init__(self, nodes: dict[str, Node], semantics: Semantics, origin: str) -> None:
        self.nodes, self.semantics, self.origin = nodes, semantics, origin
        self.assumed: list[Assumption] = []
        if semantics.framework not in (None, *FRAMEWORKS):
            raise InputError(
                f"framework must be one of {', '.join(FRAMEWORKS)}, not {semantics.framework!r}"
            )
        timed = any("tau" in node.values for node in nodes.values())
        self.dt = float(
            self._choose(
                "dt",
                semantics.dt,
                *((1e-4, "NIR writers' usual step") if timed else (1.0, "no time constants")),
            )
        )
        self.compare = self._choose_each(
            "compare", semantics.compare, ">", "NIR's definition", COMPARES
        )
        self.reset = self._choose_each(
            "reset", semantics.reset, "hard", "NIR's definition: v := v_reset", RESETS
        )
        if not 0 < self.dt < float("inf"):
            raise InputError(f"dt must be positive, not {self.dt}")

    def _choose(self, what: str, given: Any, usual: Any, why: str) -> Any:
        known = {
            str(node.metadata[what])
            for name, node in self.nodes.items()
            if what in node.metadata and not self._is_fixed(name)
        }
        if given is None and len(known) > 1:
            raise InputError(
                f"{what} in the metadata of the NIR nodes must be one value, not {', '.join(sorted(known))}: "
                "give it as an option"
            )
        default = FRAMEWORKS.get(self.semantics.framework or "", {})
        if what in default:
            usual, why = default[what], f"default of {self.semantics.framework}"
        if known:
            usual, why = known.pop(), f"metadata of the {self.origin}"
        value, reason = (usual, why) if given is None else (given, "given")
        try:
            value = float(value) if what == "dt" else value
        except ValueError:
            raise InputError(f"dt must be a number, not {value!r}") from None
        self.assumed.append(Assumption(what, str(value), reason))
        return value

    def _choose_each(
        self, what: str, given: str | None, usual: str, why: str, allowed: tuple[str, ...]
    ) -> dict[str, str]:
        """Of each spiking node: as given, else of its own metadata, else of the metadata of others, if they are of one mind."""
        kinds = {n: node.kind for n, node in self.nodes.items()}
        spiking = [n for n, kind in kinds.items() if kind in SPIKING and not self._is_fixed(n)]
        own = {
            n: str(self.nodes[n].metadata[what]) for n in spiking if what in self.nodes[n].metadata
        }
        if given is None and len(own) == len(spiking) and len({*own.values()}) > 1:
            for value in dict.fromkeys(own.values()):
                which = ", ".join(n for n in spiking if own[n] == value)
                self.assumed.append(
                    Assumption(f"{what} of {which}", value, f"metadata of the {self.origin}")
                )
        else:
            own = dict.fromkeys(spiking, str(self._choose(what, given, usual, why)))
        if wrong := {*own.values(), *([given] if given else [])} - {*allowed}:
            raise InputError(f"{what} must be one of {', '.join(allowed)}, not {min(wrong)!r}")
        fixed = {n: str(self.nodes[n].metadata[what]) for n in self.nodes if self._is_fixed(n)}
        return own | fixed

    def _is_fixed(self, name: str) -> bool:
        """Whether a node's kind says its reset and comparison (a threshold, a pool of spikes)."""
        return bool(self.nodes[name].metadata.get("fixed"))
