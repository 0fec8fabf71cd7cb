"""What the memories of a macro of dendritic neurons hold, as the load port writes and reads it."""

import numpy as np

from spikeloop.pysim.dendrites.net import DendriticNet
from spikeloop.pysim.dendrites.settings import SETTINGS, SHOW, UNITS
from spikeloop.pysim.dendrites.state import DendriticState
from spikeloop.pysim.dendritic.memories import UNIT_CHUNKS, memories, setting_bits
from spikeloop.pysim.dendritic.params import DendriticParams

__all__ = [
    "STATE",
    "input_chunks",
    "net_chunks",
    "net_of",
    "net_rows",
    "show_chunks",
    "state_chunks",
    "state_of",
]

WORD = 0xFFFFFFFF
STATE = ("globals", "neurons", "inhibition", "weights", "synapses")
"""Memories of the state."""


def net_chunks(p: DendriticParams, net: DendriticNet, stimuli: np.ndarray) -> np.ndarray:
    """Settings, stimuli and table: uint32 ``[chunk, 4]``, columns memory, row, index, data."""
    stimuli = net.check_stimuli(stimuli)
    p.check(net, len(stimuli))
    numbers = _numbers(p)
    thresholds = np.zeros((p.stimuli, p.inputs), np.int64)
    thresholds[: len(stimuli), : net.inputs] = stimuli
    rows = np.arange(thresholds.size)
    settings = np.array(list(net.settings.values()))
    return _joined(
        _rows(numbers["settings"], np.arange(settings.size), 0, settings),
        _rows(numbers["stimuli"], rows, 0, thresholds.reshape(-1)),
        _rows(numbers["table"], np.arange(net.table.size), 0, net.table),
    )


def show_chunks(stimulus: int, steps: int, *, learn: bool, plastic: bool) -> np.ndarray:
    """The registers of a show, in the same form."""
    first = list(setting_bits()).index(next(iter(SHOW)))
    values = np.array([stimulus, steps, int(learn), int(plastic)])
    return _joined(_rows(0, first + np.arange(len(SHOW)), 0, values))


def state_chunks(p: DendriticParams, net: DendriticNet, state: DendriticState) -> np.ndarray:
    """The whole state in the same form; 0 where the net has nothing, 1 in idle generators."""
    state = state.check(net)
    numbers = _numbers(p)
    n, size = net.inputs, net.neurons
    whole = np.array([state.age, 0, state.rin & WORD, state.rin >> 32])
    units = np.zeros((len(UNITS), p.neurons), np.int64)
    units[-2:] = 1
    units[:, :size] = state.units
    value = dict(zip(UNITS, units, strict=True))
    words = np.stack(
        [
            sum(
                ((value[name] >> at & (1 << bits) - 1) << place for name, at, place, bits in chunk),
                np.zeros(p.neurons, np.int64),
            )
            for chunk in UNIT_CHUNKS
        ],
        -1,
    )
    pairs = np.zeros((p.neurons, p.neurons), np.int64)
    pairs[:size, :size] = state.inhibition
    weights = np.zeros((p.inputs, p.neurons), np.int64)
    weights[:n, :size] = state.weights.T
    synapses = np.zeros((p.inputs, 2), np.int64)
    synapses[:n] = np.stack([state.currents, state.psps], -1)
    return _joined(
        _rows(numbers["globals"], np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), whole),
        _table(numbers["neurons"], words),
        _table(numbers["inhibition"], pairs),
        _table(numbers["weights"], weights & WORD),
        _table(numbers["synapses"], synapses),
    )


def state_of(p: DendriticParams, net: DendriticNet, read: dict[str, np.ndarray]) -> DendriticState:
    """The state in memories that the load port read: by name, ``[row, chunk]``."""
    n, size = net.inputs, net.neurons
    whole = read["globals"].astype(np.int64)
    words = read["neurons"].astype(np.int64)
    units = {name: np.zeros(size, np.int64) for name in UNITS}
    for index, chunk in enumerate(UNIT_CHUNKS):
        for name, at, place, bits in chunk:
            units[name] |= (words[:size, index] >> place & (1 << bits) - 1) << at
    for name, form in UNITS.items():
        if form.signed:
            units[name] -= (units[name] >> form.bits - 1) << form.bits
    return DendriticState(
        weights=read["weights"][:n, :size].astype(np.uint32).view(np.int32).T.astype(np.int64),
        inhibition=read["inhibition"][:size, :size].astype(np.int64),
        currents=read["synapses"][:n, 0].astype(np.int64),
        psps=read["synapses"][:n, 1].astype(np.int64),
        units=np.stack([units[name] for name in UNITS]),
        rin=int(whole[1, 0]) | int(whole[1, 1]) << 32,
        age=int(whole[0, 0]),
    )


def input_chunks(
    p: DendriticParams, net: DendriticNet, thresholds: np.ndarray, state: DendriticState
) -> np.ndarray:
    """Thresholds of stimulus 0 and the state that a sample begins with, in the same form."""
    stimulus = np.zeros(p.inputs, np.int64)
    stimulus[: net.inputs] = thresholds
    rows = _rows(_numbers(p)["stimuli"], np.arange(p.inputs), 0, stimulus)
    return _joined(rows, state_chunks(p, net, state))


def net_rows(
    p: DendriticParams, content: tuple[DendriticNet, DendriticState] | None
) -> dict[str, np.ndarray]:
    """Rows uint8 ``[row, 4 chunks]`` of all memories but the stimuli; all 0 without a net.

    A show is one step, which learns.
    """
    every = memories(p)
    rows = {memory.name: np.zeros((memory.rows, memory.chunks), "<u4") for memory in every}
    if content:
        net, state = content
        nothing = np.zeros((1, net.inputs), np.int64)
        parts = (
            net_chunks(p, net, nothing),
            show_chunks(0, 1, learn=True, plastic=True),
            state_chunks(p, net, state),
        )
        chunks = np.concatenate(parts)
        for number, memory in enumerate(every):
            _, row, index, data = chunks[chunks[:, 0] == number].T
            rows[memory.name][row, index] = data
    del rows["stimuli"]
    return {name: words.view(np.uint8) for name, words in rows.items()}


def net_of(p: DendriticParams, rows: dict[str, np.ndarray]) -> tuple[DendriticNet, DendriticState]:
    """Net and state of :func:`net_rows`; InputError if they hold none."""
    words = {name: np.ascontiguousarray(array).view("<u4") for name, array in rows.items()}
    settings = dict(zip(SETTINGS, words["settings"][:, 0].tolist(), strict=False))
    net = DendriticNet.make(settings, words["table"][:, 0].astype(np.int64))
    p.check(net, 1)
    return net, state_of(p, net, {name: words[name] for name in STATE}).check(net)


def _numbers(p: DendriticParams) -> dict[str, int]:
    return {memory.name: number for number, memory in enumerate(memories(p))}


def _table(memory: int, words: np.ndarray) -> np.ndarray:
    row, index = np.indices(words.shape)
    return _rows(memory, row.reshape(-1), index.reshape(-1), words.reshape(-1))


def _rows(memory: int, row: np.ndarray, index: np.ndarray | int, data: np.ndarray) -> np.ndarray:
    columns = np.broadcast_arrays(memory, row, index, data)
    return np.stack([column.astype(np.int64) for column in columns], -1)


def _joined(*parts: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.concatenate(parts), np.uint32)
