"""One net that learns mixtures and is asked for their sounds, on one engine or on several.

The protocol is the paper's (docs/dendritic.md). A training is kept every few passes, so a run that
was killed goes on from there.
"""

import hashlib
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.cosim.checkpoint import check_counts, damaged
from spikeloop.cosim.macros.engines import Engine
from spikeloop.cosim.provenance import code
from spikeloop.pysim.common.checks import check_int
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.dendrites.file import encode, load, save
from spikeloop.pysim.dendrites.net import DendriticNet
from spikeloop.pysim.dendrites.sounds import Scene, scene
from spikeloop.pysim.dendrites.state import DendriticState, begin, fresh
from spikeloop.pysim.dendrites.trace import DendriticTrace, differences

__all__ = ["MAX_PASSES", "STEPS", "Plan", "Run", "Task", "prepare"]

STEPS = 400
"""Steps that a stimulus is shown."""
INHIBITION = 0.4  # g_max, shared among the neurons
KEPT = 50  # passes between two states on disk
KEPT_COUNTS = ("compared", "different", "counters")
MAX_PASSES = 100_000


@dataclass(frozen=True)
class Plan:
    """What is done.

    mixtures: of a target with so many maskers
    passes:   times that all mixtures are shown
    presentations, trials: times that all probes are shown in turn, and repetitions of that
    seed:     of sounds, first weights and generators
    neurons:  N
    """

    mixtures: int
    passes: int = 3000
    presentations: int = 10
    trials: int = 20
    seed: int = 0
    neurons: int = 8


@dataclass(frozen=True, eq=False)
class Task:
    """A plan with its scene, net, stimuli (thresholds ``[stimulus, input]``) and first state."""

    plan: Plan
    scene: Scene
    net: DendriticNet
    stimuli: np.ndarray
    state: DendriticState


def prepare(spectrograms: np.ndarray, plan: Plan) -> Task:
    """Draws sounds and first weights, N(0, 1) / sqrt(n). InputError if sounds do not suffice."""
    rng = np.random.default_rng(plan.seed)
    made = scene(spectrograms, plan.mixtures, rng)
    stimuli = made.stimuli()
    n, window = stimuli.shape[1], plan.mixtures * STEPS
    net = DendriticNet.make(
        {
            "inputs": n,
            "neurons": plan.neurons,
            "warm_up": window,
            "stat_shift": math.floor(math.log2(window)),
            "g_max": math.floor(INHIBITION / plan.neurons * 2**20),
        }
    )
    return Task(plan, made, net, stimuli, fresh(net, plan.seed, rng))


@dataclass
class Run:
    """A task under way. The first of the engines is the reference; ``first`` ends the run.

    every:    compare every value of every step, not the state behind each show
    compared, different: values, by pair of engines
    first:    the first difference as a sentence, or None
    counters: of the reference: steps, inputs, spikes, clips, saturations, cycles
    """

    task: Task
    engines: Sequence[Engine]
    every: bool = False
    compared: Counter[str] = field(default_factory=Counter)
    different: Counter[str] = field(default_factory=Counter)
    counters: Counter[str] = field(default_factory=Counter)
    first: str | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    def train(
        self,
        *,
        kept: Path | None = None,
        resume: bool = False,
        progress: Callable[[int], None] | None = None,
    ) -> DendriticState:
        """All passes; the state behind them, or behind the first difference.

        kept: the file that holds the training; resume: go on from it.
        progress: called with the number of passes done since.
        """
        plan, task = self.task.plan, self.task
        state, done = self._open(kept) if kept and resume else (task.state, 0)
        if progress and done:
            progress(done)
        for number in range(done, plan.passes):
            for stimulus in range(plan.mixtures):
                where = f"pass {number}, mixture {stimulus}"
                state = self._show(where, stimulus, state, learn=True).state
                if self.first:
                    return state
            if kept and ((number + 1) % KEPT == 0 or number + 1 == plan.passes):
                self._keep(kept, state, number + 1)
            if progress:
                progress(1)
        return state

    def respond(
        self, state: DendriticState, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """Mean f of all trials, float ``[presentation, probe, step, neuron]``, 0..1.

        Weights and inhibition stay; each trial begins at rest, with generators of its own seed.
        """
        plan, net = self.task.plan, self.task.net
        probes = range(plan.mixtures, len(self.task.stimuli))
        total = np.zeros((plan.presentations, len(probes), STEPS, net.neurons))
        for trial in range(plan.trials):
            seed = 1_000_000 * (plan.seed + 1) + trial
            now = begin(net, state.weights, state.inhibition, seed)
            for presentation in range(plan.presentations):
                for at, stimulus in enumerate(probes):
                    where = f"trial {trial}, presentation {presentation}, probe {at}"
                    trace = self._show(where, stimulus, now, learn=False, wanted=True)
                    now = trace.state
                    total[presentation, at] += trace.field("f")
                    if self.first:
                        return total
            if progress:
                progress(1)
        return total / (65535 * max(plan.trials, 1))

    def _show(
        self, where: str, stimulus: int, state: DendriticState, *, learn: bool, wanted: bool = False
    ) -> DendriticTrace:
        """A show on all engines, compared. ``wanted``: its steps are needed."""
        traces = []
        record = wanted or self.every
        for engine in self.engines:
            began = time.process_time()
            threshold = self.task.stimuli[stimulus]
            traces.append(
                engine.run(self.task.net, threshold, state, STEPS, learn=learn, record=record)
            )
            spent = time.process_time() - began
            self.seconds[engine.name] = self.seconds.get(engine.name, 0.0) + spent
        reference = traces[0]
        for engine, trace in zip(self.engines[1:], traces[1:], strict=True):
            names = (self.engines[0].name, engine.name)
            found = differences(reference, trace, names)
            pair = " = ".join(names)
            self.compared[pair] += found.compared
            self.different[pair] += found.different
            if found.first and not self.first:
                self.first = f"{where}, {found.first}"
        for name in ("steps", "inputs", "spikes", "clips", "saturations"):
            self.counters[name] += getattr(reference, name)
        self.counters["cycles"] += next((t.cycles for t in traces if t.cycles is not None), 0)
        return reference

    def _key(self) -> str:
        task = self.task
        what = (
            hashlib.sha256(encode(task.net, task.stimuli, task.state)).hexdigest(),
            asdict(task.plan) | {"passes": None, "trials": None, "presentations": None},
            [engine.name for engine in self.engines],
            self.every,
            code(__name__),
        )
        return hashlib.sha256(repr(what).encode()).hexdigest()

    def _keep(self, path: Path, state: DendriticState, passes: int) -> None:
        facts: dict[str, Any] = {
            "key": self._key(),
            "passes": passes,
            **{name: dict(getattr(self, name)) for name in KEPT_COUNTS},
        }
        save(path, self.task.net.named(**facts), self.task.stimuli, state)

    def _open(self, path: Path) -> tuple[DendriticState, int]:
        """State and passes of a kept training; the beginning if there is none."""
        if not path.exists():
            return self.task.state, 0
        net, _, state = load(path)
        facts, text = net.metadata, str(path)
        if facts.get("key") != self._key():
            raise InputError(
                f"training {text!r} must be of the same sounds, plan, backends and sources, not of "
                "others: run without --resume"
            )
        try:
            passes = facts["passes"]
            check_int("passes of a training", passes, 0, MAX_PASSES)
            state.check(self.task.net)
            counts = {name: check_counts(facts[name]) for name in KEPT_COUNTS}
        except (InputError, KeyError, ValueError):
            raise damaged(path, "kept training", "run without --resume") from None
        if passes > self.task.plan.passes:
            raise InputError(
                f"--passes must be at least the {passes} that {text!r} has, "
                f"not {self.task.plan.passes}: run without --resume"
            )
        for name in KEPT_COUNTS:
            getattr(self, name).update(counts[name])
        return state, passes
