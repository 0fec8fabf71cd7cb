"""What the engines of the chip model share: the neurons of a core, the currents, what a run leaves.

Only the image is read. Weights come out of the synapse rows (pysim.image.synapses), parameters out
of the lane records, routes out of the route records.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from spikeloop.pysim.chip.params import SCAN_BITS
from spikeloop.pysim.chip.records import (
    adaptive_record,
    bound_record,
    fire_record,
    leak_record,
    neuron_record,
    route_record,
    synaptic_record,
    unpack_lanes,
    unpack_plain,
    word_record,
)
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.image.synapses import unpack_synapses

__all__ = ["Drive", "Group", "Neurons", "Raw", "unpack_neurons"]

OPTIONAL = (
    "toward_zero",
    "at_least_one",
    "bounded",
    "low_add",
    "v_low",
    "low_value",
    "refractory",
    "hold",
)
"""Parameters that a chip may lack; they are 0 then."""


class Group(NamedTuple):
    """Neurons first..end - 1, which share a start tick and the shift from steps to pages."""

    start: int
    page_shift: int
    first: int
    end: int

    @property
    def neurons(self) -> slice:
        """Where they lie."""
        return slice(self.first, self.end)


@dataclass(frozen=True, eq=False)
class Neurons:
    """All neurons of a core, ordered by start tick, page shift, word, lane.

    place:    int64 ``[neuron]``: word * lanes + lane
    chunk:    int64 ``[neuron]``: the chunk of lanes that a neuron's spike is emitted from
    groups:   one of each start tick and page shift
    weights:  int8 or int16 ``[axon, neuron]``, f times the chip's axons at extension f
    route:    int64 ``[entry]`` by field of the route entries, and ``neuron``: whose entry it is.
              Entries lie in the order of the neurons; without a mesh each neuron has one.
    entries:  int64 ``[neuron]``: route entries of a neuron
    p:        int64 ``[neuron]`` by parameter or, where paged, ``[page, neuron]``. Pages beyond the
              last page of a word repeat that page. Parameters of the synaptic current begin with
              "y_", those of the adaptation with "a_".
    """

    place: np.ndarray
    chunk: np.ndarray
    groups: list[Group]
    weights: np.ndarray
    route: dict[str, np.ndarray]
    entries: np.ndarray
    p: dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Drive:
    """What a PIM layer makes of the images of a stimulus.

    currents:  int64 ``[sample, frame, neuron]``, in the order of Neurons; 0 for a neuron that the
               layer does not drive
    start:     frame k is new before tick start + k, and the last frame is held
    counters:  int64 ``[sample, tick]`` by name of PIM_COUNTERS
    """

    currents: np.ndarray
    start: int
    counters: dict[str, np.ndarray]

    def frame(self, tick: int) -> int:
        """The frame that holds in a tick."""
        return min(max(tick - self.start, 0), self.currents.shape[1] - 1)


@dataclass(eq=False)
class Raw:
    """What an engine leaves.

    spikes:       uint8 0/1 ``[sample, step, neuron]``
    membranes:    int32 ``[sample, step, neuron]``, or None
    synaptic:     the same of synaptic currents, None on a chip without them; so is
    adaptations:  that of adaptations
    events:       int64 ``[sample, tick]``, as all that follow: axon events
    scan:         sum of max(1, events) over the chunks of axons
    sops:         synaptic operations
    fired:        spikes
    emit:         sum of max(1, route entries of its spikes) over the chunks of lanes
    saturations:  neurons in which a clip acted
    """

    spikes: np.ndarray
    membranes: np.ndarray | None
    events: np.ndarray
    scan: np.ndarray
    sops: np.ndarray
    fired: np.ndarray
    emit: np.ndarray
    saturations: np.ndarray
    synaptic: np.ndarray | None = None
    adaptations: np.ndarray | None = None

    def fired_at(self, tick: int, groups: list[Group]) -> np.ndarray:
        """The spikes of a tick, uint8 0/1 ``[sample, neuron]``; ``groups`` as of Neurons."""
        fired = np.zeros((len(self.spikes), self.spikes.shape[2]), np.uint8)
        for group in groups:
            if 0 <= (step := tick - group.start) < self.spikes.shape[1]:
                fired[:, group.neurons] = self.spikes[:, step, group.neurons]
        return fired

    @classmethod
    def zeros(
        cls,
        samples: int,
        ticks: int,
        steps: int,
        neurons: int,
        *,
        membranes: bool,
        current: bool,
        adaptation: bool,
    ) -> "Raw":
        """All figures 0, to be filled.

        membranes: whether states are recorded; current, adaptation: whether there are such states.
        """

        def states(recorded: bool) -> np.ndarray | None:
            return np.zeros((samples, steps, neurons), np.int32) if recorded else None

        return cls(
            np.zeros((samples, steps, neurons), np.uint8),
            states(membranes),
            *(np.zeros((samples, ticks), np.int64) for _ in range(6)),
            *(states(membranes and has) for has in (current, adaptation)),
        )


def unpack_neurons(image: Image) -> Neurons:
    """The neurons in use, from the memories of an image."""
    chip, d = image.chip, image.chip.derived
    words = unpack_plain(word_record(chip), image.bits("words"))
    neuron = unpack_lanes(neuron_record(chip), chip.lanes, image.bits("neuron"))
    if chip.bounded:
        neuron |= unpack_lanes(bound_record(chip), chip.lanes, image.bits("bound"))
    word, lane = np.nonzero(neuron["used"] & words["used"][:, None])
    words.setdefault("page_shift", np.zeros_like(words["start"]))
    order = np.lexsort((lane, word, words["page_shift"][word], words["start"][word]))
    word, lane = word[order], lane[order]
    paces = np.stack([words["start"][word], words["page_shift"][word]], axis=1)
    paces, first = np.unique(paces, axis=0, return_index=True)
    ranges = pairwise([*first.tolist(), word.size])
    p = {name: value[word, lane] for name, value in neuron.items() if name != "used"}
    p |= _unpack_paged(image, words["last_page"][word], word, lane)
    for name in OPTIONAL:
        p.setdefault(name, np.zeros(word.size, np.int64))
    route = _unpack_routes(image, (word << d.lane_bits) | lane)
    rows = image.rows("synapse").reshape(len(image.placement.words), image.placement.rows, -1)
    weights = unpack_synapses(chip, rows, words, word, lane)
    return Neurons(
        place=word * chip.lanes + lane,
        chunk=word * d.spike_chunks + lane // SCAN_BITS,
        groups=[
            Group(start, page_shift, first, end)
            for (start, page_shift), (first, end) in zip(paces.tolist(), ranges, strict=True)
        ],
        weights=weights,
        route=route,
        entries=np.bincount(route["neuron"], minlength=word.size),
        p=p,
    )


def _unpack_paged(
    image: Image, last_page: np.ndarray, word: np.ndarray, lane: np.ndarray
) -> dict[str, np.ndarray]:
    """The paged parameters of the neurons at (word, lane): int64 ``[page, neuron]`` by name.

    last_page: int64 ``[neuron]``, the last page of the neuron's word.
    """
    chip, pages = image.chip, int(last_page.max(initial=0)) + 1
    row = word * chip.pages + np.minimum(np.arange(pages)[:, None], last_page)
    p: dict[str, np.ndarray] = {}
    tables = [("leak", leak_record(chip), ""), ("fire", fire_record(chip), "")]
    if chip.current_bits:
        tables.append(("synaptic", synaptic_record(chip), "y_"))
    if chip.adaptation_bits:
        tables.append(("adaptive", adaptive_record(chip), "a_"))
    for name, record, prefix in tables:
        fields = unpack_lanes(record, chip.lanes, image.bits(name))
        p |= {f"{prefix}{key}": value[row, lane] for key, value in fields.items()}
        if name == "fire":
            continue
        for r in range(chip.leak_terms):
            on, negative = p.pop(f"{prefix}on{r}"), p.pop(f"{prefix}negative{r}")
            p[f"{prefix}sign{r}"] = on * (1 - 2 * negative)
        if prefix and not chip.roundings:
            p |= {f"{prefix}{key}": np.zeros(row.shape, np.int64) for key in OPTIONAL[:2]}
    return p


def _unpack_routes(image: Image, rows: np.ndarray) -> dict[str, np.ndarray]:
    """The route entries of neurons, as Neurons.route; in a mesh they are chains.

    rows: int64 ``[neuron]``, the row of each neuron's first entry.
    """
    routes = unpack_plain(route_record(image.chip), image.bits("routes"))
    neuron, row = [np.arange(rows.size)], [rows]
    while "more" in routes and (further := routes["more"][row[-1]] == 1).any():
        if (
            len(row) > image.chip.derived.route_rows
            or routes["next"][row[-1]][further].max() >= image.chip.derived.route_rows
        ):
            raise InputError(
                f"chains of routes of image {image.name!r} must end within their memory, "
                "not outside: map the network again"
            )
        neuron, row = [*neuron, neuron[-1][further]], [*row, routes["next"][row[-1]][further]]
    order = np.argsort(np.concatenate(neuron), kind="stable")
    at = np.concatenate(row)[order]
    return {
        "neuron": np.concatenate(neuron)[order],
        **{key: value[at] for key, value in routes.items()},
    }
