"""NIR files (Pedersen et al. 2024) as integer networks.

NIR describes neurons in continuous time. golden/interchange/graph/semantics.py settles what a step
is. One step, by Euler's method with dt:

    IF     v := v + dt r I                        I    as IF, never spikes
    LIF    v := v + dt / tau (v_leak - v + r I)   LI   as LIF, never spikes

    CubaLIF, CubaLI    i := i + dt / tau_syn (w_in S - i), then v as LIF with tau_mem and that i

The membrane takes the new current, as snnTorch, Norse and Rockpool do when they run such a node.

The integers are compared with the same step in float64 on seeded random spikes.
"""

from pathlib import Path

import numpy as np
import torch

from spikeloop.golden.interchange.common import Assumption, Imported
from spikeloop.golden.interchange.graph.build import Importer
from spikeloop.golden.interchange.graph.drift import random_spikes
from spikeloop.golden.interchange.graph.node import Node
from spikeloop.golden.interchange.graph.order import LINEAR
from spikeloop.golden.interchange.graph.semantics import Semantics, Settled
from spikeloop.golden.interchange.graph.twin import TwinRun
from spikeloop.golden.interchange.nir.file import read_nir
from spikeloop.golden.interchange.nir.normal import normal
from spikeloop.pysim.common.errors import InputError

__all__ = ["import_nir"]

MANY = ("sinabs", "rockpool")
"""Frameworks whose neurons spike several times in a step, unless told otherwise."""
OURS = ("Pass", "Reshape", "Membrane")  # kinds that no file has
NEURONS = ("IF", "LIF", "CubaLIF", "I", "LI", "CubaLI")
KINDS = (*NEURONS, *(kind for kind in LINEAR if kind not in OURS), "Threshold", "Input", "Output")


def import_nir(
    path: str | Path,
    semantics: Semantics | None = None,
    *,
    steps: int = 32,
    bits: int = 8,
    answer: str | None = None,
    groups: int | None = None,
) -> Imported:
    """Read a NIR file.

    semantics: what NIR leaves open (default: as the file says).
    steps:     of a sample.
    bits:      of a weight, 2..16.
    answer:    the Output node that is read, where there are several.
    groups:    classes of a population code; None: each output neuron is a class.
    InputError names the node or edge that cannot be imported.
    """
    nodes, edges = read_nir(path)
    nodes, edges = _with_one_output(nodes, edges, answer)
    for node in nodes.values():
        _check_kind(node)
    semantics = semantics or Semantics()
    plain = normal(nodes, Settled(nodes, semantics, "file").dt, semantics.framework)
    importer = Importer(plain, edges, semantics, steps, bits, Path(path).stem)
    floats = importer.floats(random_spikes(importer.graph, steps))
    made = importer.build(floats, groups)
    if semantics.framework in MANY:
        made.assumed.append(_several(importer, floats.twin))
    return made


def _several(importer: Importer, twin: TwinRun) -> Assumption:
    """How often a neuron passes twice its threshold, where its framework may spike twice."""
    passed = total = 0
    for name in importer.settled.reset:
        theta = np.asarray(importer.nodes[name].values.get("v_threshold", 1.0), np.float64)
        passed += int((twin.before[name] >= 2 * torch.as_tensor(theta)).sum())
        total += int(twin.spikes[name].sum())
    return Assumption(
        "several spikes in one step",
        f"are one here; a membrane passes twice its threshold in {passed:,} of {total:,} spikes",
        "the file does not say how many there may be",
    )


def _with_one_output(
    nodes: dict[str, Node], edges: list[tuple[str, str]], answer: str | None
) -> tuple[dict[str, Node], list[tuple[str, str]]]:
    """The nodes without other Outputs than ``answer``, and without what leads to those alone."""
    outputs = [name for name, node in nodes.items() if node.kind == "Output"]
    if answer is None:
        if len(outputs) > 1:
            raise InputError(
                f"NIR graph has several Outputs, {' and '.join(map(repr, outputs))}: name the one "
                "whose answer is read (--answer)"
            )
        return nodes, edges
    if answer not in outputs:
        raise InputError(
            f"answer must be one of the Outputs, {' or '.join(map(repr, outputs))}, not {answer!r}"
        )
    used, pending = {answer}, [answer]
    while pending:
        at = pending.pop()
        before = {source for source, target in edges if target == at} - used
        used |= before
        pending += before
    used |= {name for name, node in nodes.items() if node.kind == "Input"}
    kept = {name: node for name, node in nodes.items() if name in used}
    return kept, [edge for edge in edges if used.issuperset(edge)]


def _check_kind(node: Node) -> None:
    if node.kind in (*KINDS, "Pass", "Reshape"):
        return
    raise InputError(
        f"type of node {node.name!r} must be one of {', '.join(KINDS)}, not {node.kind!r}"
    )
