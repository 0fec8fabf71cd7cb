"""What the engines of the chip model share: a core's memories as arrays over its neurons, the currents of a PIM layer, what a run leaves.

Only the image is read: weights come out of the synapse rows (digits joined by their strengths, less the excess), parameters out of the lane
records, routes out of the route records.
"""

from dataclasses import dataclass

import numpy as np

from spikeloop.pysim.chip.params import SCAN_BITS
from spikeloop.pysim.chip.records import (
    bound_record,
    fire_record,
    leak_record,
    neuron_record,
    route_record,
    unpack_lanes,
    unpack_plain,
    word_record,
)
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.image.synapses import unpack_synapses

__all__ = ["Drive", "Neurons", "Raw", "unpack_neurons"]


@dataclass(frozen=True, eq=False)
class Neurons:
    """All neurons of a core, ordered by start tick, word, lane; arrays ``[n]`` or, where paged, ``[pages, n]``; int64 unless said.

    ``groups``: (start, first, last + 1) of the neurons of each start tick. Pages beyond a word's last repeat its last. ``weights``
    int16 ``[axons, n]`` (f times the chip's axons). ``route``: fields of the route entries ``[entry]``, and whose they are (``neuron``),
    in its order; without a mesh one for each neuron. ``entries`` ``[n]``: how many each has.
    """

    place: np.ndarray
    chunk: np.ndarray
    groups: list[tuple[int, int, int]]
    weights: np.ndarray
    route: dict[str, np.ndarray]
    entries: np.ndarray
    p: dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Drive:
    """Currents of a PIM layer, int64 ``[sample, frame, neuron]`` of all neurons of a core in its order (0 for those it does not drive).

    They are new before the ticks ``start`` + frame, and held after the last. ``counters``: PIM_COUNTERS, int64 ``[sample, tick]``.
    """

    currents: np.ndarray
    start: int
    counters: dict[str, np.ndarray]

    def frame(self, tick: int) -> int:
        return min(max(tick - self.start, 0), self.currents.shape[1] - 1)


@dataclass(eq=False)
class Raw:
    """What an engine leaves: ``spikes`` uint8 and ``membranes`` int32 (or None) ``[sample, step, neuron]``.

    The other figures are int64 ``[sample, tick]``.
    """

    spikes: np.ndarray
    membranes: np.ndarray | None
    events: np.ndarray
    scan: np.ndarray
    sops: np.ndarray
    fired: np.ndarray
    emit: np.ndarray
    saturations: np.ndarray

    def fired_at(self, tick: int, groups: list[tuple[int, int, int]]) -> np.ndarray:
        """The spikes of a tick, uint8 0/1 ``[sample, neuron]``; ``groups`` of the neurons."""
        fired = np.zeros((len(self.spikes), self.spikes.shape[2]), np.uint8)
        for start, first, last in groups:
            if 0 <= tick - start < self.spikes.shape[1]:
                fired[:, first:last] = self.spikes[:, tick - start, first:last]
        return fired

    @classmethod
    def zeros(cls, samples: int, ticks: int, steps: int, neurons: int, membranes: bool) -> "Raw":
        return cls(
            np.zeros((samples, steps, neurons), np.uint8),
            np.zeros((samples, steps, neurons), np.int32) if membranes else None,
            *(np.zeros((samples, ticks), np.int64) for _ in range(6)),
        )


def unpack_neurons(image: Image) -> Neurons:
    """Memories to arrays over the neurons in use."""
    chip, d = image.chip, image.chip.derived
    words = unpack_plain(word_record(chip), image.bits("words"))
    neuron = unpack_lanes(neuron_record(chip), chip.lanes, image.bits("neuron"))
    if chip.bounded:
        neuron |= unpack_lanes(bound_record(chip), chip.lanes, image.bits("bound"))
    word, lane = np.nonzero(neuron["used"] & words["used"][:, None])
    order = np.lexsort((lane, word, words["start"][word]))
    word, lane = word[order], lane[order]
    starts, first = np.unique(words["start"][word], return_index=True)
    groups = list(
        zip(starts.tolist(), first.tolist(), [*first[1:].tolist(), word.size], strict=True)
    )

    p = {name: value[word, lane] for name, value in neuron.items() if name != "used"}
    pages = int(words["last_page"][word].max(initial=0)) + 1
    row = word * chip.pages + np.minimum(np.arange(pages)[:, None], words["last_page"][word])
    for name, record in (("leak", leak_record(chip)), ("fire", fire_record(chip))):
        p |= {
            key: value[row, lane]
            for key, value in unpack_lanes(record, chip.lanes, image.bits(name)).items()
        }
    for r in range(chip.leak_terms):
        p[f"sign{r}"] = p.pop(f"on{r}") * (1 - 2 * p.pop(f"negative{r}"))
    for name in (
        "toward_zero",
        "at_least_one",
        "bounded",
        "low_add",
        "v_low",
        "low_value",
        "refractory",
        "hold",
    ):
        p.setdefault(name, np.zeros(word.size, np.int64))

    route = _unpack_routes(image, (word << d.lane_bits) | lane)
    rows = image.rows("synapse").reshape(len(image.placement.words), image.placement.rows, -1)
    weights = unpack_synapses(chip, rows, words, word, lane)
    return Neurons(
        word * chip.lanes + lane,
        word * d.spike_chunks + lane // SCAN_BITS,
        groups,
        weights,
        route,
        np.bincount(route["neuron"], minlength=word.size),
        p,
    )


def _unpack_routes(image: Image, rows: np.ndarray) -> dict[str, np.ndarray]:
    """The entries of neurons whose first ones lie at ``rows``; in a mesh chains of them."""
    routes = unpack_plain(route_record(image.chip), image.bits("routes"))
    neuron, row = [np.arange(rows.size)], [rows]
    while "more" in routes and (further := routes["more"][row[-1]] == 1).any():
        if (
            len(row) > image.chip.derived.route_rows
            or routes["next"][row[-1]][further].max() >= image.chip.derived.route_rows
        ):
            raise InputError(
                f"chains of routes of image {image.name!r} must end within their memory, not outside: map the network again"
            )
        neuron, row = [*neuron, neuron[-1][further]], [*row, routes["next"][row[-1]][further]]
    order = np.argsort(np.concatenate(neuron), kind="stable")
    at = np.concatenate(row)[order]
    return {
        "neuron": np.concatenate(neuron)[order],
        **{key: value[at] for key, value in routes.items()},
    }
