"""From a network and its placement to its image: the contents of every memory that is loaded."""

from collections.abc import Callable
from typing import Any

import numpy as np

from spikeloop.pysim.chip.memory_map import MemoryMap
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.chip.records import (
    Field,
    adaptive_record,
    bound_record,
    fire_record,
    leak_record,
    neuron_record,
    pack_lanes,
    pack_plain,
    route_record,
    synaptic_record,
    word_record,
)
from spikeloop.pysim.common.bits import pack as pack_bits
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.dendritic.contents import net_rows as dendritic_rows
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.image.pim import pack_pim
from spikeloop.pysim.image.synapses import pack_fanout, pack_synapses
from spikeloop.pysim.mapping.place import place
from spikeloop.pysim.mapping.placement import Placement
from spikeloop.pysim.network.elements import LeakRounding, LowBound, Population, Reset, StateUse
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.network.parameters import LEAK_TERMS
from spikeloop.pysim.network.summary import NetworkSummary
from spikeloop.pysim.onn.contents import net_rows as onn_rows

__all__ = ["pack"]


def pack(
    network: Network, placement: Placement | None = None, *, chip: Chip | None = None
) -> Image:
    """The image of ``network`` with this placement, or with that of ``place(network, chip)``."""
    if placement is None:
        if chip is None:
            raise InputError("placement or chip of an image is missing: give one of the two")
        placement = place(network, chip)
    chip = placement.chip
    memories = {
        "words": pack_bits(_pack_words(placement)),
        "fanout": pack_fanout(network, placement),
        "routes": pack_bits(_pack_routes(placement)),
        "synapse": pack_synapses(network, placement),
        **_pack_parameters(network, placement),
    }
    if chip.pim:
        memories |= pack_pim(network, placement)
    if chip.front:
        rows = _pack_front(network, chip)
        memories |= {f"{chip.front.prefix}{name}": array for name, array in rows.items()}
    loaded = {m.name: memories[m.name] for m in MemoryMap(chip).loaded}
    return Image(chip, placement, NetworkSummary.of(network), loaded)


def _pack_front(network: Network, chip: Chip) -> dict[str, np.ndarray]:
    """Rows of the memories of the macro in front of the core."""
    if chip.onn:
        return onn_rows(chip.onn, network.onn.net if network.onn else None)
    assert chip.dendritic
    source = network.dendritic
    return dendritic_rows(chip.dendritic, (source.net, source.state) if source else None)


def _pack_words(placement: Placement) -> np.ndarray:
    """Bits of the word memory, uint8 ``[words, width]``."""
    record = word_record(placement.chip)
    values = {f.name: np.zeros(placement.chip.derived.words, np.int64) for f in record}
    for w, word in enumerate(placement.words):
        values["used"][w] = 1
        for key, value in vars(word).items():
            if key in values:  # the mapping has checked that nothing needs what the chip lacks
                values[key][w] = value
    return pack_plain(record, values)


def _pack_routes(placement: Placement) -> np.ndarray:
    """Bits of the route memory, uint8 ``[route rows, width]``, without the chains of a mesh."""
    d, lanes, record = placement.chip.derived, placement.chip.lanes, route_record(placement.chip)
    values = {f.name: np.zeros(d.route_rows, np.int64) for f in record}
    for p in placement.populations:
        rows = (p.neurons // lanes << d.lane_bits) | p.neurons % lanes
        values["kind"][rows] = p.route
        if p.output:
            values["address"][rows] = np.arange(p.size)
        elif p.first_axon is not None and p.delay is not None:
            values["address"][rows] = p.first_axon + np.arange(p.size)
            values["delay"][rows] = p.delay
    return pack_plain(record, values)


# -- parameters of neurons ---------------------------------------------------------------------

Values = dict[str, Any]
"""Fields of a lane record by name, each a number or an array ``[neuron]``."""


def _pack_parameters(network: Network, placement: Placement) -> dict[str, np.ndarray]:
    """Rows of the leak, fire and neuron memories, and of the bound memory if the chip has it."""
    chip = placement.chip
    memories = {
        "leak": _pack_table(network, placement, leak_record(chip), _leak, paged=True),
        "fire": _pack_table(network, placement, fire_record(chip), _fire, paged=True),
        "neuron": _pack_table(network, placement, neuron_record(chip), _neuron, paged=False),
    }
    if chip.bounded:
        record = bound_record(chip)
        memories["bound"] = _pack_table(network, placement, record, _bound, paged=False)
    if chip.current_bits:
        record = synaptic_record(chip)
        memories["synaptic"] = _pack_table(network, placement, record, _synaptic, paged=True)
    if chip.adaptation_bits:
        record = adaptive_record(chip)
        memories["adaptive"] = _pack_table(network, placement, record, _adaptive, paged=True)
    return memories


def _pack_table(
    network: Network,
    placement: Placement,
    record: list[Field],
    fields: Callable[[Population, int], Values],
    *,
    paged: bool,
) -> np.ndarray:
    """Rows uint8 ``[words * pages, bytes]`` of a memory of lane records.

    ``fields`` gives the values of a population's page.

    Only the words and pages in use are worked out; the others are 0.
    """
    chip, words = placement.chip, len(placement.words)
    pages = max(p.pages for p in network.populations) if paged else 1
    table = {f.name: np.zeros((words, pages, chip.lanes), np.int64) for f in record}
    for p in network.populations:
        word, lane = np.divmod(placement.population(p.name).neurons, chip.lanes)
        for page in range(p.pages if paged else 1):
            for name, value in fields(p, page).items():
                if name in table:  # the mapping has checked that nothing needs what the chip lacks
                    table[name][word, page, lane] = value
    flat = {name: values.reshape(-1, chip.lanes) for name, values in table.items()}
    rows = pack_bits(pack_lanes(record, chip.lanes, flat))
    memory = np.zeros((chip.derived.words, chip.pages if paged else 1, rows.shape[1]), np.uint8)
    memory[:words, :pages] = rows.reshape(words, pages, -1)
    return memory.reshape(-1, rows.shape[1])


def _leak(p: Population, page: int) -> Values:
    decay = _decay(p.k0[page], p.leak_sign[page], p.leak_shift[page], p.rounding)
    return {"bias": p.bias[page], "rectify": p.rectify, **decay}


def _synaptic(p: Population, page: int) -> Values:
    sign, shift = p.current_sign[page], p.current_shift[page]
    return {
        "current": p.current != StateUse.NONE,
        "old": p.current == StateUse.OLD,
        "gain": p.gain,
        "fraction": p.fraction,
        **_decay(p.current_k0[page], sign, shift, p.current_rounding),
    }


def _adaptive(p: Population, page: int) -> Values:
    sign, shift = p.adaptation_sign[page], p.adaptation_shift[page]
    return {
        "adaptation": p.adaptation != StateUse.NONE,
        "old": p.adaptation == StateUse.OLD,
        "step": p.adaptation_step,
        "scale": p.adaptation_scale,
        "reset": p.adaptation_reset,
        **_decay(p.adaptation_k0[page], sign, shift, p.adaptation_rounding),
    }


def _decay(k0: np.ndarray, sign: np.ndarray, shift: np.ndarray, rounding: np.ndarray) -> Values:
    """Fields of a leak. k0, rounding: ``[neuron]``; sign, shift: ``[LEAK_TERMS, neuron]``."""
    order = np.argsort(sign == 0, axis=0, kind="stable")  # terms in use first
    sign, shift = (np.take_along_axis(array, order, axis=0) for array in (sign, shift))
    values: Values = {
        "k0": k0,
        "toward_zero": rounding != LeakRounding.FLOOR,
        "at_least_one": rounding == LeakRounding.AT_LEAST_ONE,
    }
    for r in range(LEAK_TERMS):
        values[f"on{r}"] = sign[r] != 0
        values[f"negative{r}"] = sign[r] < 0
        values[f"shift{r}"] = np.where(sign[r] != 0, shift[r], 0)
    return values


def _fire(p: Population, page: int) -> Values:
    return {"v_th": p.v_th[page], "v_sub": p.v_sub[page]}


def _neuron(p: Population, _: int) -> Values:
    return {
        "used": 1,
        "fire": p.fire,
        "hard": p.reset == Reset.HARD,
        "soft": p.reset == Reset.SOFT,
        "v_reset": p.v_reset,
        "v_init": p.v_init,
        "refractory": p.refractory,
        "hold": p.hold,
    }


def _bound(p: Population, _: int) -> Values:
    nothing = np.zeros_like(p.v_low)
    return {
        "bounded": p.low != LowBound.NONE,
        "low_add": p.low == LowBound.ADD,
        "v_low": p.v_low,
        "low_value": np.choose(p.low, [nothing, p.v_low, p.v_low_reset, p.v_low_add]),
    }
