"""What the memories of a macro of oscillators hold: accesses of its port, and rows of an image.

An image has a 32-bit word for each chunk of a row, whatever the chunk's width in the macro.
"""

import numpy as np

from spikeloop.pysim.onn.memories import memories, setting_bits, state_chunks
from spikeloop.pysim.onn.params import OnnParams
from spikeloop.pysim.oscillators.net import OnnNet, OnnState
from spikeloop.pysim.oscillators.settings import FORMATS

__all__ = ["input_chunks", "net_chunks", "net_of", "net_rows", "state_of", "state_words"]


def net_chunks(p: OnnParams, net: OnnNet) -> np.ndarray:
    """Settings and couplings: uint32 ``[chunk, 4]``, columns memory, row, index, data."""
    p.check(net)
    numbers = _numbers(p)
    values = {"oscillators": net.size, **net.settings}
    settings = [
        (0, row, index, values[name] >> 32 * index & 0xFFFFFFFF)
        for row, (name, bits) in enumerate(setting_bits(p).items())
        for index in range(1 + (bits > 32))
    ]
    g = np.zeros((p.places, p.oscillators), np.int64)
    g[: net.size, : net.size] = net.couplings & (1 << p.coupling_bits) - 1
    i, j = np.indices(g.shape)
    rows = i // p.lanes * p.oscillators + j
    parts = [np.array(settings), _rows(numbers["coupling"], rows, i % p.lanes, g)]
    if net.cell == "relaxation":
        parts.append(_by_lane(p, numbers["sums"], net.sums))
    return np.ascontiguousarray(np.concatenate(parts), np.uint32)


def input_chunks(p: OnnParams, net: OnnNet, start: np.ndarray, state: OnnState) -> np.ndarray:
    """The input of a run and the state it begins with, in the same form."""
    numbers = _numbers(p)
    parts = []
    if net.cell == "relaxation":
        parts.append(_by_lane(p, numbers["delays"], net.check_input(start)))
    place = np.array([0, 1, 2, 3])
    parts.append(_rows(numbers["globals"], place, 0 * place, state.whole))
    words = state_words(p, net, state)
    row, index = (np.asarray(part) for part in np.indices(words.shape))
    parts.append(_rows(numbers["state"], row, index, words))
    return np.ascontiguousarray(np.concatenate(parts), np.uint32)


def state_words(p: OnnParams, net: OnnNet, state: OnnState) -> np.ndarray:
    """Rows of state as int64 ``[oscillator, chunk]``."""
    value = dict(zip(net.units, state.units, strict=True))
    return np.stack(
        [
            sum((value[name] << at for name, at, _ in chunk), np.zeros(net.size, np.int64))
            for chunk in state_chunks(p)
        ],
        -1,
    )


def state_of(p: OnnParams, net: OnnNet, words: np.ndarray, whole: np.ndarray) -> OnnState:
    """The state in rows that the load port read: ``words[oscillator, chunk]``, ``whole[4]``."""
    value = {
        name: words[: net.size, index].astype(np.int64) >> at & (1 << bits) - 1
        for index, chunk in enumerate(state_chunks(p))
        for name, at, bits in chunk
    }
    return OnnState(np.stack([value[name] for name in net.units]), whole.astype(np.int64))


def net_rows(p: OnnParams, net: OnnNet | None) -> dict[str, np.ndarray]:
    """Rows uint8 ``[row, 4 chunks]`` of the memories that a net fills; all 0 without one."""
    names = ("settings", "coupling", *(("sums",) if p.cell == "relaxation" else ()))
    rows = {
        memory.name: np.zeros((memory.rows, memory.chunks), "<u4")
        for memory in memories(p)
        if memory.name in names
    }
    every = memories(p)
    for number, row, index, data in net_chunks(p, net).tolist() if net else ():
        rows[every[number].name][row, index] = data
    return {name: words.view(np.uint8) for name, words in rows.items()}


def net_of(p: OnnParams, rows: dict[str, np.ndarray]) -> OnnNet:
    """The net of :func:`net_rows`; InputError if they hold none."""
    words = {name: np.ascontiguousarray(array).view("<u4") for name, array in rows.items()}
    values = {
        name: int(words["settings"][row].view("<u8")[0]) for row, name in enumerate(setting_bits(p))
    }
    size = values.pop("oscillators")
    g = words["coupling"].reshape(p.passes, p.oscillators, p.lanes).astype(np.int64)
    g = g.transpose(0, 2, 1).reshape(p.places, p.oscillators)[:size, :size]
    if p.cell == "phase":  # two's complement
        g = (g ^ 1 << p.coupling_bits - 1) - (1 << p.coupling_bits - 1)
    formats = {name: getattr(p, name) for name in FORMATS[p.cell]}
    return OnnNet.make(p.cell, g, formats, values)


def _numbers(p: OnnParams) -> dict[str, int]:
    return {memory.name: number for number, memory in enumerate(memories(p))}


def _by_lane(p: OnnParams, memory: int, values: np.ndarray) -> np.ndarray:
    every = np.zeros(p.places, np.int64)
    every[: len(values)] = values
    place = np.arange(p.places)
    return _rows(memory, place // p.lanes, place % p.lanes, every)


def _rows(memory: int, row: np.ndarray, index: np.ndarray, data: np.ndarray) -> np.ndarray:
    columns = (np.full(row.size, memory), row.reshape(-1), index.reshape(-1), data.reshape(-1))
    return np.stack([column.astype(np.int64) for column in columns], -1)
