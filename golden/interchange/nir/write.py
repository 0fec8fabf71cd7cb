"""Our networks as NIR graphs: integers as they are, a step of 1, semantics in the metadata.

golden/interchange/nir/read.py reads them back.
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.golden.interchange.nir.shifts import written_shifts
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import write_atomic
from spikeloop.pysim.network.elements import Edge, LowBound, Population, Reset, StateUse
from spikeloop.pysim.network.graph import Network

__all__ = ["export_nir"]


def export_nir(network: Network, path: str | Path) -> Path:
    """Write ``network`` as a NIR file.

    Neurons become IF and LIF, or I and LI where nothing fires; behind a current CubaLIF and CubaLI.
    Edges become Linear or Conv2d. InputError names what NIR cannot say: pages, bounds, refractory
    times, rectification, mixed resets, adaptations, currents of which the old one acts, delays
    other than 0 forwards and 1 in a cycle, and weights onto maps of another form.
    """
    try:
        import nir
    except ImportError:
        raise InputError(
            "package nir, which writes NIR files, is missing: pip install -e '.[nir]' in a checkout"
        ) from None
    resets = {Reset(int(r)) for p in network.populations for r in np.unique(p.reset[p.fire])}
    if len(resets) > 1 or Reset.NONE in resets:
        used = ", ".join(r.name.lower() for r in sorted(resets))
        raise InputError(
            f"reset of a network to export to NIR must be hard or soft throughout, not {used}"
        )
    strict = bool(resets) and all(
        (p.v_th == p.v_sub + 1).all() for p in network.populations if p.fire.any()
    )
    metadata = {
        "dt": 1.0,
        "compare": ">" if strict else ">=",
        "reset": "soft" if Reset.SOFT in resets else "hard",
    }
    order = [p.name for p in network.order()]
    shapes: dict[str, tuple[int, ...]] = {n.name: (n.size,) for n in network.inputs}
    shapes.update({p.name: (p.size,) for p in network.populations})
    for edge in network.edges:
        if edge.conv:
            shapes |= {edge.source: edge.conv.source, edge.target: edge.conv.target}
    nodes: dict[str, Any] = {n.name: nir.Input(np.array(shapes[n.name])) for n in network.inputs}
    edges: list[tuple[str, str]] = []
    for p in network.populations:
        nodes[p.name] = _neurons(nir, p, shapes[p.name], metadata)
    for i, edge in enumerate(network.edges):
        closes = edge.source in order and order.index(edge.source) >= order.index(edge.target)
        if edge.delay != int(closes):
            raise InputError(
                f"delay of edge {edge.source}->{edge.target} must be {int(closes)} in NIR, not "
                f"{edge.delay}"
            )
        way = [edge.source, *_maps(nir, nodes, f"edge{i}", edge, shapes), edge.target]
        edges += list(zip(way, way[1:], strict=False))
    nodes["result"] = nir.Output(np.array(shapes[network.output]))
    edges.append((network.output, "result"))
    buffer = io.BytesIO()
    nir.write(buffer, nir.NIRGraph(nodes=nodes, edges=edges, type_check=False))
    return write_atomic(path, buffer.getvalue())


def _neurons(nir: Any, p: Population, shape: tuple[int, ...], metadata: dict[str, Any]) -> Any:
    """The node of a population, with arrays of ``shape``."""
    threshold = p.v_th[0] - (metadata["compare"] == ">")
    soft = (p.reset == Reset.SOFT) & p.fire
    obstacles = {
        "pages": p.pages > 1,
        "adaptations": p.has_adaptation,
        "currents that act before their update": (p.current == StateUse.OLD).any(),
        "neurons without a current among others": p.has_current and not p.current.all(),
        "currents of several units": np.ptp(p.gain.astype(np.int64) - p.fraction) > 0,
        "lower bounds": (p.low != LowBound.NONE).any(),
        "refractory times": p.refractory.any(),
        "rectification": p.rectify.any(),
        "initial membranes": p.v_init.any(),
        "read-out neurons among others": p.fire.any() != p.fire.all(),
        "v_sub other than v_th": (soft & (p.v_sub[0] != threshold)).any(),
    }
    for what, present in obstacles.items():
        if present:
            raise InputError(
                f"population {p.name!r} must be without {what} to be exported to NIR, not with"
            )
    decay = _factors(p.k0, p.leak_sign, p.leak_shift)
    leaky = p.has_current or bool((decay != 1).any())
    if ((decay >= 1) | (decay < 0)).any() if leaky else p.bias.any():
        raise InputError(
            f"population {p.name!r} must decay in all neurons, or in none and have no bias and no "
            "current, to be exported to NIR, not otherwise"
        )

    def full(value: np.ndarray) -> np.ndarray:
        return np.asarray(value, np.float64).reshape(shape)

    rate = full(1 - decay)
    spiking = {"v_threshold": full(threshold), "v_reset": full(p.v_reset)} if p.fire.all() else {}
    if p.has_current:
        return (nir.CubaLIF if spiking else nir.CubaLI)(
            **_current(p, full),
            **spiking,
            tau_mem=1 / rate,
            r=full(2.0 ** -p.fraction.astype(np.float64)) / rate,
            v_leak=full(p.bias[0]) / rate,
            metadata=metadata | written_shifts(p),
        )
    kind = {"metadata": metadata, "r": 1 / rate if leaky else full(np.ones(p.size))}
    kind |= {"tau": 1 / rate, "v_leak": full(p.bias[0]) / rate} if leaky else {}
    if spiking:
        return (nir.LIF if leaky else nir.IF)(**kind, **spiking)
    return (nir.LI if leaky else nir.I)(**kind)


def _factors(k0: np.ndarray, sign: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Factors of a step of the first page: float64 ``[size]``."""
    terms: np.ndarray = (sign[0] * 2.0 ** -shift[0].astype(np.float64)).sum(axis=0)
    return k0[0] + terms


def _current(p: Population, full: Callable[[np.ndarray], np.ndarray]) -> dict[str, np.ndarray]:
    """tau_syn and w_in of a population with a current; ``full`` gives arrays their shape."""
    decay = _factors(p.current_k0, p.current_sign, p.current_shift)
    outside = decay[~((decay >= 0) & (decay < 1))]
    if outside.size:
        raise InputError(
            f"current of population {p.name!r} must decay by a factor of 0 or more and below 1 to "
            f"be exported to NIR, not by {outside[0]:g}"
        )
    tau = 1 / full(1 - decay)
    return {"tau_syn": tau, "w_in": full(2.0 ** p.gain.astype(np.float64)) * tau}


def _maps(
    nir: Any, nodes: dict[str, Any], name: str, edge: Edge, shapes: dict[str, tuple[int, ...]]
) -> list[str]:
    """The nodes of an edge; a map that is read as lines is flattened first."""
    if edge.conv:
        if shapes[edge.source] != edge.conv.source or shapes[edge.target] != edge.conv.target:
            raise InputError(
                f"maps of edge {edge.source}->{edge.target} must be those of its ends in NIR, "
                "not others"
            )
        c = edge.conv
        nodes[name] = nir.Conv2d(
            input_shape=c.source[1:],
            weight=edge.weights.astype(np.float64),
            stride=c.stride,
            padding=c.padding,
            dilation=(1, 1),
            groups=c.groups,
            bias=np.zeros(c.target[0]),
        )
        return [name]
    if len(shapes[edge.target]) > 1:
        raise InputError(
            f"edge {edge.source}->{edge.target} must be a convolution in NIR, as its target is a "
            "map, not dense"
        )
    nodes[name] = nir.Linear(edge.weights.T.astype(np.float64))
    if len(shapes[edge.source]) == 1:
        return [name]
    nodes[f"{name}_flat"] = nir.Flatten(
        input_type={"input": np.array(shapes[edge.source])}, start_dim=0, end_dim=-1
    )
    return [f"{name}_flat", name]
