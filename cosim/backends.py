"""The backends by name: the two models here; simulators and boards are imported when opened.

    golden      the network file in torch int64: the reference; never sees the image
    pysim       the image in numpy; predicts every counter
    verilator   the RTL of the image's chip, compiled
    icarus      the same RTL, interpreted: an independent simulator, slow
    board:PORT  the chip behind its host link: a device, a pty, socket://HOST:PORT (docs/board.md)
    replay:FILE what a board said once

A new backend is one entry of :data:`BACKENDS`. It gets what follows the colon of its name
(``board:URL``).
"""

from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from threading import Lock
from typing import Any

import numpy as np

from spikeloop.cosim.backend import Backend, check_tools
from spikeloop.pysim.bundle.mesh import MeshImage
from spikeloop.pysim.bundle.program import Program
from spikeloop.pysim.bundle.shares import KEPT_BYTES
from spikeloop.pysim.common.bits import pack
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.image.folder import Budget
from spikeloop.pysim.image.image import Bundle, Image
from spikeloop.pysim.model.mesh import MeshModel
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace

__all__ = ["BACKENDS", "Golden", "Parts", "Pysim", "check_names", "open_backend"]


class Golden(Backend):
    """The integer reference (golden.reference.integer) on the network.

    Counters at the ticks of the chip (tick = step + start): saturations and spikes_out; n_sat and
    n_clip of a PIM layer; of a source what does not belong to the macro (docs/formats.md).
    """

    name = "golden"

    def __init__(self, network: Network) -> None:
        from spikeloop.golden.reference import integer  # torch: imported only where golden runs

        self.network, self._run = network, integer.run
        self._prepared = integer.Prepared(network)

    def run(self, stimulus: Stimulus, *, membranes: bool = True) -> Trace:
        stimulus.check(self.network)
        result = self._run(
            self.network,
            stimulus.dense(self.network) | stimulus.pixels | stimulus.starts,
            membranes=membranes,
            samples=stimulus.samples,
            prepared=self._prepared,
        )
        shape = (stimulus.samples, self.network.ticks)
        counters = {name: np.zeros(shape, np.int64) for name in ("saturations", "spikes_out")}
        for p in self.network.populations:
            ticks = slice(p.start, p.start + self.network.steps)
            counters["saturations"][:, ticks] += result.saturations[p.name]
            counters["spikes_out"][:, ticks] += result.spikes[p.name].sum(axis=2, dtype=np.int64)
        for name, clips in result.clips.items():
            # currents are computed right before the tick in which they are new
            first = self.network.start_of(next(iter(result.currents)))
            counters[name] = np.zeros(shape, np.int64)
            counters[name][:, first : first + clips.shape[1]] = clips
        for name, counts in result.counts.items():  # right before the first ticks
            counters[name] = np.zeros(shape, np.int64)
            counters[name][:, : counts.shape[1]] = counts
        return Trace(
            {name: pack(spikes) for name, spikes in result.spikes.items()},
            dict(result.membranes) if membranes else {},
            counters,
            result.currents,
            dict(result.synaptic) if membranes else {},
            dict(result.adaptations) if membranes else {},
            result.ends,
        )


class Pysim(Backend):
    """The model of the chip (pysim.model.core) on the image; has every counter, stalls 0."""

    name = "pysim"

    def __init__(self, image: Image) -> None:
        from spikeloop.pysim.model.core import Core

        self.core = Core(image)

    def run(self, stimulus: Stimulus, *, membranes: bool = True) -> Trace:
        return self.core.run(stimulus, membranes=membranes)


class PysimMesh(Backend):
    """The model of a mesh (pysim.model.mesh); counters are sums over the cores, stalls 0."""

    name = "pysim"

    def __init__(self, image: MeshImage) -> None:
        self.image, self.model = image, MeshModel(image)

    def run(self, stimulus: Stimulus, *, membranes: bool = True) -> Trace:
        return self.image.gather(self.model.run(stimulus, membranes=membranes))


class Parts(Backend):
    """Each image of a program on a backend of its own, with the parts that share it.

    opener: opens the backend of an image, when a part of it runs. The backends of the first images
            are kept, KEPT_BYTES of images in all; the others are closed again.
    """

    def __init__(self, name: str, program: Program, opener: Callable[[Image], Backend]) -> None:
        self.name, self.program, self._opener = name, program, opener
        self._open: dict[Image, Backend] = {}
        self._opening, self._budget = Lock(), Budget(KEPT_BYTES)

    def run(self, stimulus: Stimulus, *, membranes: bool = True) -> Trace:
        def run(number: int, parts: Stimulus) -> Trace:
            image = self.program.parts[number].image
            with self._opening:
                backend = self._open.get(image) or self._opener(image)
                if image not in self._open and self._budget.take(image.bytes):
                    self._open[image] = backend
                kept = image in self._open
            with nullcontext() if kept else closing(backend):
                return backend.run(parts, membranes=membranes)

        return self.program.run(stimulus, run, membranes=membranes, together=True)

    def close(self) -> None:
        for backend in self._open.values():
            backend.close()
        self._open.clear()
        self._budget = Budget(KEPT_BYTES)


def _golden(_: str, network: Network, bundle: Bundle, **options: Any) -> Backend:
    return Golden(network)


def _pysim(_: str, network: Network, bundle: Bundle, **options: Any) -> Backend:
    return _on(bundle, Pysim, lambda program: Parts("pysim", program, Pysim), PysimMesh)


def _verilator(_: str, network: Network, bundle: Bundle, **options: Any) -> Backend:
    from spikeloop.cosim.verilator import backend

    parts = backend.PingPong if bundle.chip.banks > 1 else backend.VerilatedParts
    return _on(bundle, backend.Verilated, parts, backend.VerilatedMesh, **options)


def _icarus(_: str, network: Network, bundle: Bundle, **options: Any) -> Backend:
    from spikeloop.cosim.icarus.backend import Icarus

    def parts(program: Program, **options: Any) -> Backend:
        return Parts("icarus", program, lambda image: Icarus(image, **options))

    return _on(bundle, Icarus, parts, Icarus, **options)


def _on(
    bundle: Bundle,
    image: Callable[..., Backend],
    program: Callable[..., Backend],
    mesh: Callable[..., Backend],
    **options: Any,
) -> Backend:
    """The backend for the kind of the bundle."""
    opener = {"image": image, "program": program, "mesh": mesh}[bundle.kind]
    return opener(bundle, **options)


def _board(url: str, network: Network, bundle: Bundle, **options: Any) -> Backend:
    from spikeloop.cosim.board.link import open_board

    return open_board(url, _single("board", bundle), **options)


def _replay(path: str, network: Network, bundle: Bundle, **options: Any) -> Backend:
    from spikeloop.cosim.board.link import open_replay

    return open_replay(path, _single("replay", bundle))


def _single(name: str, bundle: Bundle) -> Image:
    if bundle.kind != "image":
        raise InputError(
            f"image for backend {name} must be of one core, not of several: "
            "map the network for a larger chip"
        )
    return bundle.images[0]


BACKENDS: dict[str, Callable[..., Backend]] = {
    "golden": _golden,
    "pysim": _pysim,
    "verilator": _verilator,
    "icarus": _icarus,
    "board": _board,
    "replay": _replay,
}

WITH_MACROS = ("golden", "pysim", "verilator")
"""Backends that run a network with a PIM layer or a source."""


def check_names(names: Sequence[str]) -> None:
    """InputError unless every name is that of a backend whose tools are installed."""
    for name in names:
        kind = name.partition(":")[0]
        if kind not in BACKENDS:
            raise InputError(f"backend must be one of {', '.join(BACKENDS)}, not {name!r}")
        check_tools(kind)


def open_backend(spec: str, network: Network, bundle: Bundle, **options: Any) -> Backend:
    """Open the backend ``spec``: NAME or NAME:REST.

    Golden gets the network, all others the bundle, whose manifest must name that network. Options
    go to the simulators. InputError for an unknown name, another network, or a missing tool.
    """
    check_names([spec])
    if bundle.network.sha256 != network.sha256():
        raise InputError(
            f"network must be the one image {bundle.name!r} was packed from "
            f"(SHA-256 {bundle.network.sha256[:12]}...), "
            f"not {network.name!r} ({network.sha256()[:12]}...): "
            "map it again or name its file with --network"
        )
    name, _, rest = spec.partition(":")
    what = "a PIM layer" if network.pim else network.source.what if network.source else None
    if what and name not in WITH_MACROS:
        raise InputError(
            f"network {network.name!r} with {what} must be run by "
            f"{', '.join(WITH_MACROS)}, not {name}"
        )
    return BACKENDS[name](rest, network, bundle, **options)
