"""A network in a few lines: its text for people, and its table for notebooks."""

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spikeloop.pysim.network.graph import Network

__all__ = ["html", "text"]

MOST_ROWS = 18
"""rows of a network that are shown, one for what is left out among them"""


def text(network: "Network") -> str:
    """A headline and at most MOST_ROWS lines, one for each input, population and edge."""
    lines = [f"  {kind:<10} {what}" for kind, what in _shown(network)]
    return "\n".join([_headline(network), *lines])


def html(network: "Network") -> str:
    """The same as an HTML table; every text in it is escaped."""
    rows = "".join(
        f"<tr><td>{escape(kind)}</td><td>{escape(what)}</td></tr>" for kind, what in _shown(network)
    )
    return f"<table><caption>{escape(_headline(network))}</caption>{rows}</table>"


def _headline(network: "Network") -> str:
    neurons = sum(p.size for p in network.populations)
    weights = sum(e.weights.size for e in network.edges)
    return (
        f"Network {network.name!r}: {neurons:,} neurons of {network.membrane_bits} bits, "
        f"{weights:,} weights, {network.steps:,} steps, "
        f"output {network.output!r} ({network.readout})"
    )


def _shown(network: "Network") -> list[tuple[str, str]]:
    """Kind and description of each part; of a large network the first ones."""
    rows = [("input", f"{n.name}, {n.size:,} lines") for n in network.inputs]
    if source := network.source:
        rows.append((source.what, f"{source.size} -> {source.input}"))
    if network.pim:
        head = network.pim.head
        rows.append(("PIM layer", f"{head.name} -> {head.target}, {head.currents:,} currents"))
    rows += [
        (kind, repr(part).partition("(")[2].removesuffix(")"))
        for kind, parts in (("population", network.populations), ("edge", network.edges))
        for part in parts
    ]
    if len(rows) > MOST_ROWS:
        hidden = len(rows) - (MOST_ROWS - 1)
        rows = [*rows[: MOST_ROWS - 1], ("...", f"{hidden:,} more")]
    return rows
