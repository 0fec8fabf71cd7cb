"""Currents and adaptations drawn at random: golden = pysim = RTL on every form of the chip.

    python -m tests.campaigns.regression.states [NEURON_TICKS [SEED]]

compares 1,000,000 neuron-ticks a pair by default, in equal shares on the chips of FORMS. The pairs
are golden with the two engines of pysim, and with the chip in Verilator. A part, APART, goes
through Icarus and through the netlist after synthesis. Compared are every spike, membrane, current
and adaptation, and every counter; golden counts no cycles, so those are compared with numpy's.

The networks and stimuli are those of tests/campaigns/regression/cases.py and mesh/cases.py. It
prints what was compared and how often each state was other than 0. Exit status 1: something
differs. Exit status 2: a form whose neurons never spiked, saturated or moved a state, for equal
silence proves nothing.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from spikeloop.cosim.backends import open_backend
from spikeloop.cosim.board import fpga
from spikeloop.cosim.board.link import Board
from spikeloop.cosim.board.session import Session
from spikeloop.cosim.board.virtual import BoardModel, Wire
from spikeloop.cosim.compare.diff import Side, diff
from spikeloop.cosim.compare.pair import Pair
from spikeloop.cosim.verilator.build import Options
from spikeloop.cosim.verilator.chip import ChipModel, MeshChipModel
from spikeloop.pysim.bundle.mesh import MeshImage
from spikeloop.pysim.chip.params import PRESETS, Chip, preset
from spikeloop.pysim.image.image import Bundle, Image
from spikeloop.pysim.model.core import Core
from spikeloop.pysim.model.mesh import MeshModel
from spikeloop.pysim.model.ticks import numba_engine
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace
from tests.campaigns.regression.cases import CHIPS, cases
from tests.campaigns.regression.mesh.cases import mesh_case
from tests.make.neurons.states import WITH_STATES

__all__ = ["APART", "FORMS", "Form", "Tally", "Run", "on_board", "silent", "tally"]

NEURON_TICKS = 1_000_000
SAMPLES = 16
FAST = Options(optimise=False)
ENDLESS = 1 << 30

Run = Callable[[Network, Bundle, Stimulus], Trace]


class Drawn(NamedTuple):
    """A random network in its image, a stimulus, and what pysim's numpy engine says of it."""

    network: Network
    bundle: Bundle
    stimulus: Stimulus
    numpy: Trace


@dataclass(frozen=True)
class Form:
    """A form of the chip, and what runs it.

    name:    the backend in the pair
    open:    gives a function that runs an image
    share:   neuron-ticks, as a part of what all pairs compare
    samples: of each network
    """

    chip: Chip
    open: Callable[[Chip], AbstractContextManager[Run]]
    name: str = "verilator"
    share: float = 1.0
    samples: int = SAMPLES


@dataclass
class Tally:
    """What was compared on one form, pair by pair; what moved meanwhile; the first difference."""

    networks: int = 0
    pairs: dict[str, Pair] = field(default_factory=dict)
    moved: Counter[str] = field(default_factory=Counter)
    first: str | None = None

    def add(self, pair: Pair) -> None:
        """Count a pair of one network, or of another form."""
        self.pairs.setdefault(pair.backend, Pair(pair.reference, pair.backend)).add(pair)


def tally(form: Form, neuron_ticks: int, seed: int = 0) -> Tally:
    """Compares golden with pysim and the form until ``neuron_ticks`` are compared in each pair."""
    done = Tally()
    with form.open(form.chip) as run:
        for number, drawn in enumerate(_drawn(form, seed)):
            for pair in _pairs(form, drawn, run, done.moved):
                done.add(pair)
                if pair.first and done.first is None:
                    done.first = f"network {number} of seed {seed}, {pair.first}"
            done.networks += 1
            if done.pairs[form.name].neuron_ticks >= neuron_ticks:
                break
    return done


def _drawn(form: Form, seed: int) -> Iterator[Drawn]:
    if form.chip.derived.cores == 1:
        for case in cases(form.chip, ENDLESS, seed=seed, samples=form.samples):
            yield Drawn(case.network, case.image, case.stimulus, case.trace)
        return
    for number in range(ENDLESS):
        mesh = mesh_case(np.random.default_rng([seed, number]), form.chip, form.samples)
        yield Drawn(mesh.network, mesh.image, mesh.stimulus, mesh.image.gather(mesh.traces))


def _pairs(form: Form, drawn: Drawn, run: Run, moved: Counter[str]) -> Iterator[Pair]:
    """Golden with numpy, numba and the form. Their counters are added to ``moved``."""
    network, bundle, stimulus, _ = drawn
    with open_backend("golden", network, bundle) as backend:
        golden = Side("golden", backend.run(stimulus))
    numpy = Side("numpy", drawn.numpy)
    yield diff(network, golden, numpy)
    if numba_engine.AVAILABLE:
        numba = Side("numba", _numba(bundle, stimulus))
        yield diff(network, golden, numba, between=[numpy])
    chip = Side(form.name, run(network, bundle, stimulus))
    yield diff(network, golden, chip, between=[numpy])
    moved["spikes"] += int(chip.trace.counters["spikes_out"].sum())
    moved["saturations"] += int(chip.trace.counters["saturations"].sum())
    for name, part in (("currents", chip.trace.synaptic), ("adaptations", chip.trace.adaptations)):
        if part:
            moved[name] += sum(int(np.count_nonzero(values)) for values in part.values())


def _numba(bundle: Bundle, stimulus: Stimulus) -> Trace:
    if isinstance(bundle, MeshImage):
        return bundle.gather(MeshModel(bundle, "numba").run(stimulus))
    return Core(bundle.images[0], "numba").run(stimulus)


# -- what runs the forms -----------------------------------------------------------------------


@contextmanager
def _verilated(chip: Chip) -> Iterator[Run]:
    """One model for all images. A chip of two banks takes them in turns, through its load port."""
    model, bank = ChipModel(chip, FAST), 0

    def run(_: Network, bundle: Bundle, stimulus: Stimulus) -> Trace:
        nonlocal bank
        image = bundle.images[0]
        if chip.banks == 1:
            model.fill(image)
            return model.run(image, stimulus)
        model.feed(image, bank)
        while left := model.feeding:
            model.cycles(left)
        model.switch(image, bank)
        bank = 1 - bank
        return model.run(image, stimulus)

    yield run
    model.close()


@contextmanager
def _verilated_mesh(chip: Chip) -> Iterator[Run]:
    model = MeshChipModel(chip, FAST)

    def run(_: Network, bundle: Bundle, stimulus: Stimulus) -> Trace:
        assert isinstance(bundle, MeshImage)
        model.fill_mesh(bundle)
        return bundle.gather(model.run_mesh(bundle, stimulus))

    yield run
    model.close()


@contextmanager
def _icarus(_: Chip) -> Iterator[Run]:
    def run(network: Network, bundle: Bundle, stimulus: Stimulus) -> Trace:
        with open_backend("icarus", network, bundle) as backend:
            return backend.run(stimulus)

    yield run


@contextmanager
def _netlist(chip: Chip) -> Iterator[Run]:
    with on_board(BoardModel(chip, library=fpga.netlist_board(chip))) as run:
        yield run


@contextmanager
def on_board(model: BoardModel) -> Iterator[Run]:
    """Runs images on a virtual board, through its host link."""

    def run(_: Network, bundle: Bundle, stimulus: Stimulus) -> Trace:
        image: Image = bundle.images[0]
        with Board(Session(Wire(model)), image) as board:
            return board.run(stimulus)

    yield run
    model.close()


FORMS = {
    "bit planes": Form(CHIPS["states"], _verilated),
    "integers, enables, 2-bit digits": Form(CHIPS["states-scalar"], _verilated),
    "two banks, axon extension": Form(CHIPS["states-banked"], _verilated),
    "two slices of 256 lanes": Form(CHIPS["slices-states"], _verilated),
    "16 lanes, delays to 7": Form(CHIPS["cover-states"], _verilated),
    "preset tiny": Form(WITH_STATES, _verilated),
    "widest states": Form(
        PRESETS["tiny"].replace(membrane_bits=32, current_bits=32, adaptation_bits=31), _verilated
    ),
    "currents alone": Form(CHIPS["states"].replace(adaptation_bits=0, current_bits=20), _verilated),
    "adaptations alone": Form(CHIPS["states"].replace(current_bits=0), _verilated),
    "mesh of 2 x 1": Form(
        CHIPS["mesh"].replace(mesh_width=2, mesh_height=1, current_bits=11, adaptation_bits=9),
        _verilated_mesh,
    ),
}
"""every form that Verilator runs, in equal shares"""

APART = {
    "Icarus": Form(CHIPS["states"], _icarus, "icarus", 0.02),
    "netlist": Form(
        preset("hx8k").replace(
            axons=49, columns=10, lanes=1, current_bits=8, adaptation_bits=8, membrane_bits=9
        ),
        _netlist,
        "netlist",
        0.002,
        8,
    ),
}
"""what takes a part"""


def _widths(chip: Chip) -> str:
    return f"{chip.membrane_bits}/{chip.current_bits}/{chip.adaptation_bits}"


def silent(form: Form, moved: Counter[str]) -> list[str]:
    """What the form's neurons never did."""
    wanted = ["spikes", "saturations"]
    wanted += ["currents"] if form.chip.current_bits else []
    wanted += ["adaptations"] if form.chip.adaptation_bits else []
    return [name for name in wanted if not moved[name]]


def main(neuron_ticks: int = NEURON_TICKS, seed: int = 0) -> int:
    """Every form; the exit status."""
    whole, firsts, idle = Tally(), [], []
    shared = -(-neuron_ticks // len(FORMS))
    shares = dict.fromkeys(FORMS, shared)
    shares |= {name: int(form.share * neuron_ticks) for name, form in APART.items()}
    print("form (bits of membrane/current/adaptation): networks, neuron-ticks, and what moved")
    for number, (title, form) in enumerate((FORMS | APART).items()):
        done = tally(form, shares[title], 100 * seed + number)
        moved = ", ".join(f"{count:,} {name}" for name, count in done.moved.items())
        print(
            f"  {title} ({_widths(form.chip)}): {done.networks:,}, "
            f"{done.pairs[form.name].neuron_ticks:,}: {moved}",
            flush=True,
        )
        for pair in done.pairs.values():
            whole.add(pair)
        whole.networks += done.networks
        firsts += [f"{title}: {done.first}"] if done.first else []
        idle += [f"{title}: no {name}" for name in silent(form, done.moved)]
    print(f"{whole.networks:,} networks of seed {seed}")
    for pair in whole.pairs.values():
        print(pair)
    for text in [*firsts, *idle]:
        print(text)
    return 1 if firsts else 2 if idle else 0


if __name__ == "__main__":
    sys.exit(main(*(int(argument.replace(",", "")) for argument in sys.argv[1:])))
