"""NIR files (Pedersen et al. 2024) as integer networks.

NIR describes neurons in continuous time. golden/interchange/graph/semantics.py settles what a step
is. One step, by Euler's method with dt:

    IF     v := v + dt r I                        I    as IF, never spikes
    LIF    v := v + dt / tau (v_leak - v + r I)   LI   as LIF, never spikes

The integers are compared with the same step in float64 on seeded random spikes.
"""

from pathlib import Path

from spikeloop.golden.interchange.common import Imported
from spikeloop.golden.interchange.graph.build import Importer
from spikeloop.golden.interchange.graph.drift import random_spikes
from spikeloop.golden.interchange.graph.node import Node
from spikeloop.golden.interchange.graph.order import LINEAR, READOUT
from spikeloop.golden.interchange.graph.semantics import Semantics, Settled
from spikeloop.golden.interchange.nir.file import read_nir
from spikeloop.golden.interchange.nir.normal import normal
from spikeloop.pysim.common.errors import InputError

__all__ = ["import_nir"]

KINDS = ("IF", "LIF", *READOUT, *LINEAR, "Threshold", "Input", "Output")
OURS = ("Pass", "Reshape")  # kinds that no file has


def import_nir(
    path: str | Path, semantics: Semantics | None = None, *, steps: int = 32, bits: int = 8
) -> Imported:
    """Read a NIR file.

    semantics: what NIR leaves open (default: as the file says).
    steps:     of a sample.
    bits:      of a weight, 2..16.
    InputError names the node or edge that cannot be imported.
    """
    nodes, edges = read_nir(path)
    for node in nodes.values():
        _check_kind(node)
    semantics = semantics or Semantics()
    plain = normal(nodes, Settled(nodes, semantics, "file").dt, semantics.framework)
    importer = Importer(plain, edges, semantics, steps, bits, Path(path).stem)
    return importer.build(importer.floats(random_spikes(importer.graph, steps)))


def _check_kind(node: Node) -> None:
    if node.kind in KINDS:
        return
    why = ""
    if "Cuba" in node.kind:
        why = ": its synaptic current is a second state, which the core does not have"
    known = ", ".join(kind for kind in KINDS if kind not in OURS)
    raise InputError(f"type of node {node.name!r} must be one of {known}, not {node.kind!r}{why}")
