"""snnTorch modules (Eshraghian et al. 2023) as integer networks, without the detour by NIR, which forgets reset and delay.

A net is a torch module whose layers run one after the other, in the order in which they were defined: Linear, Conv1d, Conv2d, AvgPool2d,
Flatten, Dropout and Identity (nothing in a trained net), Leaky, and Sequentials of these. One step of snnTorch 1.0's ``Leaky``, with
beta in 0..1, threshold theta and input I (strictly above theta is a spike):

    reset_delay   mechanism   snnTorch                                                  here
    True          subtract    u := beta u + I - s theta, s of the step before           reset "late": an edge of -theta to itself, delay 1
    True          zero        u := beta (1 - s) u + I                                   hard to 0: the same spikes; its u is not yet reset
    False         subtract    u := beta u + I, then minus theta if it spikes            soft
    False         zero        u := beta u + I, then 0 if it spikes                      hard to 0
    any           none        u := beta u + I                                           none

With ``reset_delay=False`` and subtract, snnTorch raises the threshold to 2 theta in a step before which u was still above theta ("avoid
double reset"). Where that can happen, by the bound on u from the weights, the import says so.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from spikeloop.golden.interchange.common import Assumption, Imported
from spikeloop.golden.interchange.nir.file import NirNode
from spikeloop.golden.interchange.nir.read import Importer
from spikeloop.golden.interchange.nir.semantics import Semantics
from spikeloop.pysim.common.errors import InputError

__all__ = ["import_snntorch"]

NOTHING = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Identity)


def import_snntorch(
    net: nn.Module,
    shape: tuple[int, ...] | None = None,
    *,
    steps: int = 32,
    bits: int = 8,
    name: str = "net",
) -> Imported:
    """The integer network of ``net``. shape: of one input without batch, where the first layer does not say it (a convolution);
    steps: of a sample; bits: of a weight, 2..16. InputError names the layer that cannot be had."""
    layers = list(_layers(net, ""))
    if not layers:
        raise InputError("snnTorch net must have layers, not none")
    first = layers[0][1]
    if shape is None:
        if not isinstance(first, nn.Linear):
            raise InputError(
                f"input shape must be given for a net that begins with {type(first).__name__}, not left out"
            )
        shape = (first.in_features,)
    size = np.array(shape, np.int64)
    nodes = {"input": NirNode("input", "Input", {"shape": size}, {})}
    for path, layer in layers:
        nodes[path] = _node(path, layer)
    nodes["output"] = NirNode("output", "Output", {}, {})
    names = list(nodes)
    importer = Importer(
        nodes,
        list(zip(names, names[1:], strict=False)),
        Semantics(dt=1.0),
        steps,
        bits,
        name,
        "snnTorch",
    )
    made = importer.build()
    made.assumed.append(
        Assumption(
            "order of the layers", " -> ".join(path for path, _ in layers), "as they were defined"
        )
    )
    made.assumed.extend(_double_resets(made, layers))
    return made


def _layers(module: nn.Module, path: str) -> Iterator[tuple[str, nn.Module]]:
    """Leaves that do something, with their names."""
    children = list(module.named_children())
    if isinstance(module, NOTHING) or (isinstance(module, nn.Sequential) and not children):
        return
    if not children or _is_neuron(module):
        yield path or type(module).__name__.lower(), module
        return
    for name, child in children:
        yield from _layers(child, f"{path}_{name}" if path else name)


def _is_neuron(module: nn.Module) -> bool:
    return type(module).__module__.startswith("snntorch.")


def _node(path: str, layer: nn.Module) -> NirNode:
    def array(value: Any) -> np.ndarray:
        return np.asarray(torch.as_tensor(value).detach().cpu().numpy(), np.float64)

    match layer:
        case nn.Linear():
            values = {"weight": array(layer.weight)} | (
                {} if layer.bias is None else {"bias": array(layer.bias)}
            )
            return NirNode(path, "Affine" if "bias" in values else "Linear", values, {})
        case nn.Conv1d() | nn.Conv2d() if layer.padding_mode == "zeros" and layer.padding != "same":
            values = {"weight": array(layer.weight)} | (
                {} if layer.bias is None else {"bias": array(layer.bias)}
            )
            values |= {
                key: np.array(getattr(layer, key)) for key in ("stride", "dilation", "groups")
            }
            values["padding"] = np.array(0 if layer.padding == "valid" else layer.padding)
            return NirNode(path, type(layer).__name__, values, {})
        case nn.AvgPool2d() if (
            not layer.ceil_mode
            and layer.divisor_override is None
            and (layer.count_include_pad or not layer.padding)
        ):
            values = {
                "kernel_size": np.array(layer.kernel_size),
                "stride": np.array(layer.stride),
                "padding": np.array(layer.padding),
            }
            return NirNode(path, "AvgPool2d", values, {})
        case nn.Flatten() if layer.start_dim == 1:
            return NirNode(
                path,
                "Flatten",
                {
                    "start_dim": np.int64(0),
                    "end_dim": np.int64(layer.end_dim - (layer.end_dim > 0)),
                },
                {},
            )
        case _ if _is_neuron(layer) and type(layer).__name__ == "Leaky":
            return _leaky(path, layer)
    raise InputError(
        f"layer {path!r} must be Linear, Conv1d, Conv2d, AvgPool2d, Flatten, Dropout or Leaky of the usual kind, "
        f"not {layer}"[:300]
    )


def _leaky(path: str, layer: Any) -> NirNode:
    beta, threshold = (
        np.asarray(getattr(layer, key).detach().cpu().numpy(), np.float64).ravel()
        for key in ("beta", "threshold")
    )
    for what, bad in (
        ("without inhibition", layer.inhibition),
        ("without state_quant", bool(layer.state_quant)),
        (
            "of graded_spikes_factor 1",
            float(torch.as_tensor(layer.graded_spikes_factor).max()) != 1.0,
        ),
    ):
        if bad:
            raise InputError(f"neurons {path!r} must be {what}, not with another")
    if not np.isfinite(beta).all() or not np.isfinite(threshold).all() or (threshold <= 0).any():
        raise InputError(
            f"beta and threshold of neurons {path!r} must be finite and the threshold positive, "
            f"not {beta.min():g} and {threshold.min():g}"
        )
    reset = {"none": "none", "zero": "hard"}.get(
        layer.reset_mechanism, "late" if layer.reset_delay else "soft"
    )
    values = {"beta": np.clip(beta, 0, 1), "v_threshold": threshold, "v_reset": np.zeros(1)}
    return NirNode(
        path,
        "Leaky",
        {key: a[0] if a.size == 1 else a for key, a in values.items()},
        {"compare": ">", "reset": reset},
    )


def _double_resets(made: Imported, layers: list[tuple[str, nn.Module]]) -> Iterator[Assumption]:
    """Neurons whose membrane may exceed twice the threshold, where snnTorch without delay does not subtract what it says."""
    keys, network = made.network.metadata["nodes"], made.network
    for path, layer in layers:
        if not _is_neuron(layer) or layer.reset_mechanism != "subtract" or layer.reset_delay:
            continue
        population = network.population(next(name for name, key in keys.items() if key == path))
        most = population.bias[0].astype(np.int64)
        for edge in network.edges:
            if edge.target == population.name:
                lines = network.size_of(edge.source)
                block = (
                    edge.weights
                    if edge.conv is None
                    else edge.conv.block(edge.weights, np.arange(lines), np.arange(population.size))
                )
                most = most + np.maximum(block, 0).sum(axis=0)
        decay = population.k0[0] + (
            population.leak_sign[0] * 2.0 ** -population.leak_shift[0].astype(float)
        ).sum(axis=0)
        may = decay * population.v_sub[0] + most > 2 * population.v_sub[0]
        if may.any():
            yield Assumption(
                f"double resets of {path!r}",
                f"{int(may.sum())} neurons may depart",
                "above twice the threshold snnTorch's reset_delay=False skips a spike; here the reset is soft throughout",
            )
