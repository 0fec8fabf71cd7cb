"""What a NIR graph leaves open of a step: its length dt, how the threshold is compared, and what a
spike does to the membrane.

Each is taken from the first of these that states it: the options (:class:`Semantics`), the metadata
of the nodes, the defaults of the framework that wrote the file, NIR's convention. The import says
which one it was.
"""

from dataclasses import dataclass
from typing import Any

from spikeloop.golden.interchange.common import Assumption
from spikeloop.golden.interchange.graph.node import Node
from spikeloop.pysim.common.errors import InputError

__all__ = ["FIXED", "SPIKING", "Semantics", "Settled"]

FIXED = {"compare": ">", "reset": "none", "fixed": True}
"""Metadata of a neuron whose kind says its step: a threshold, a pool of spikes."""
SPIKING = ("IF", "LIF", "CubaLIF", "Leaky")
RESETS = ("hard", "soft", "late", "none", "pause")
COMPARES = (">", ">=")
# what the files of these frameworks do not say; true unless their users changed it
FRAMEWORKS: dict[str, dict[str, Any]] = {
    "snntorch": {"dt": 1e-4, "compare": ">", "reset": "late"},
    "spikingjelly": {"dt": 1e-4, "compare": ">=", "reset": "hard"},
    # its export multiplies tau by its dt, 1e-3: a step is then dt^2
    "norse": {"dt": 1e-6, "compare": ">", "reset": "hard"},
    "sinabs": {"dt": 1.0, "compare": ">=", "reset": "soft"},
    "rockpool": {"dt": 1e-3, "compare": ">=", "reset": "soft"},
}


@dataclass(frozen=True)
class Semantics:
    """What NIR leaves open.

    dt:        length of a step.
    compare:   ">" or ">=".
    reset:     "hard", "soft", "late", "none" or "pause" (hard, and held there for a step).
    framework: whose defaults fill what neither an option nor the metadata state.
    None: not stated here.
    """

    dt: float | None = None
    compare: str | None = None
    reset: str | None = None
    framework: str | None = None


class Settled:
    """The semantics of a graph.

    dt:      length of a step.
    compare: one of COMPARES for each spiking node, by name.
    reset:   one of RESETS for each spiking node, by name.
    assumed: what was chosen, and why.

    origin:  where the metadata come from, "file" or "module".
    InputError if the metadata of the nodes contradict one another, or a value is not allowed.
    """

    def __init__(self, nodes: dict[str, Node], semantics: Semantics, origin: str) -> None:
        self.nodes, self.semantics, self.origin = nodes, semantics, origin
        self.assumed: list[Assumption] = []
        if semantics.framework not in (None, *FRAMEWORKS):
            raise InputError(
                f"framework must be one of {', '.join(FRAMEWORKS)}, not {semantics.framework!r}"
            )
        timed = any({"tau", "tau_mem"} & node.values.keys() for node in nodes.values())
        usual = (1e-4, "NIR writers' usual step") if timed else (1.0, "no time constants")
        self.dt = float(self._choose("dt", semantics.dt, *usual))
        self.compare = self._choose_each(
            "compare", semantics.compare, ">", "NIR's definition", COMPARES
        )
        self.reset = self._choose_each(
            "reset", semantics.reset, "hard", "NIR's definition: v := v_reset", RESETS
        )
        if not 0 < self.dt < float("inf"):
            raise InputError(f"dt must be positive, not {self.dt}")

    def _choose(self, what: str, given: Any, usual: Any, why: str) -> Any:
        """One value for all nodes: ``given`` if it is not None, else metadata, else defaults."""
        known = {
            str(node.metadata[what])
            for name, node in self.nodes.items()
            if what in node.metadata and not self._is_fixed(name)
        }
        if given is None and len(known) > 1:
            raise InputError(
                f"{what} in the metadata of the NIR nodes must be one value, not "
                f"{', '.join(sorted(known))}: give it as an option"
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
        """For each spiking node: the option if given; else the node's metadata; else the value all
        other nodes share. An option "node=value,..." is for the nodes that it names."""
        kinds = {n: node.kind for n, node in self.nodes.items()}
        spiking = [n for n, kind in kinds.items() if kind in SPIKING and not self._is_fixed(n)]
        named, given = _named(given, allowed)
        if unknown := named.keys() - {*spiking}:
            raise InputError(
                f"{what} must be given for a spiking node ({', '.join(spiking)}), not for "
                f"{min(unknown)!r}"
            )
        stated = {
            n: str(self.nodes[n].metadata[what]) for n in spiking if what in self.nodes[n].metadata
        }
        if given is None and len(stated) == len(spiking) and len({*stated.values()}) > 1:
            values = stated
            for value in dict.fromkeys(values.values()):
                which = ", ".join(n for n in spiking if values[n] == value)
                reason = f"metadata of the {self.origin}"
                self.assumed.append(Assumption(f"{what} of {which}", value, reason))
        else:
            values = dict.fromkeys(spiking, str(self._choose(what, given, usual, why)))
        values |= named
        self.assumed += [Assumption(f"{what} of {n}", value, "given") for n, value in named.items()]
        wrong = {*values.values(), *([given] if given else [])} - {*allowed}
        if wrong:
            raise InputError(f"{what} must be one of {', '.join(allowed)}, not {min(wrong)!r}")
        fixed = {n: str(self.nodes[n].metadata[what]) for n in self.nodes if self._is_fixed(n)}
        return values | fixed

    def _is_fixed(self, name: str) -> bool:
        """Whether a node's kind says its reset and comparison (a threshold, a pool of spikes)."""
        return bool(self.nodes[name].metadata.get("fixed"))


def _named(given: str | None, allowed: tuple[str, ...]) -> tuple[dict[str, str], str | None]:
    """ "1=hard,late": hard for node 1, late for the others. ">=" is a value, not node ">"."""
    if given is None or given in allowed:
        return {}, given
    named: dict[str, str] = {}
    other = None
    for part in (part.strip() for part in given.split(",")):
        name = next((part.removesuffix(f"={v}") for v in allowed if part.endswith(f"={v}")), "")
        if part in allowed or not name:
            other = part
        else:
            named[name] = part[len(name) + 1 :]
    return named, other
