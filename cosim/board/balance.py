"""Closed loop: a chip balances a pole on a cart; its next input depends on its last output.

The loop runs on a board and by golden, and the two are compared step by step.

Each of the cart's four variables is one spike among 8 input lines, by its place in a range. Two LIF
neurons lose half of their membrane in a step. They weigh the lines like a linear controller, each
with the negative weights of the other. A spike pushes the cart one way. The plant is that of Barto,
Sutton and Anderson 1983 (semi-implicit Euler, 20 ms, 10 N).
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from spikeloop.cosim.board.link import Board, BoardLink, input_commands, open_board
from spikeloop.cosim.board.session import Session
from spikeloop.cosim.board.virtual import BoardModel, Wire
from spikeloop.pysim.chip.frames import ITEM_EVENT, RUN, Command
from spikeloop.pysim.chip.memory_map import CONTROL_CLEAR
from spikeloop.pysim.chip.params import preset
from spikeloop.pysim.common.bits import pack
from spikeloop.pysim.common.checks import check_int
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.image.pack import pack as pack_image
from spikeloop.pysim.network.elements import Edge, Input, Population
from spikeloop.pysim.network.graph import Network

__all__ = ["Episode", "Plant", "balance", "by_board", "by_golden", "closed_loop", "controller"]

BINS = 8
# of position (m), speed (m/s), angle (rad) and angular speed (rad/s):
RANGES = (2.4, 3.0, 0.21, 2.5)  # covered by the lines, to both sides
GAINS = (3.0, 8.0, 60.0, 40.0)
LIMITS = (2.4, math.inf, 0.21, math.inf)  # beyond them the pole has fallen

Decide = Callable[[np.ndarray], tuple[bool, bool]]


def controller(steps: int) -> Network:
    """The network: 32 lines, 2 neurons (left, right), 8-bit weights, v' = v - (v >> 1) + I."""
    centres = (np.arange(BINS) - (BINS - 1) / 2) / (BINS / 2)
    push = np.concatenate([gain * centres for gain in GAINS])
    weights = np.rint(np.stack([-push, push], axis=1)).astype(np.int32)
    neurons = Population.make(
        "push", 2, weight_bits=8, v_th=1, leak_sign=[[[-1] * 2, [0] * 2, [0] * 2]], leak_shift=1
    )
    return Network(
        name="balance",
        inputs=(Input(name="state", size=4 * BINS),),
        populations=(neurons,),
        edges=(Edge(source="state", target="push", weights=weights),),
        steps=steps,
        output="push",
        membrane_bits=24,
    )


@dataclass
class Plant:
    """The cart with its pole. state: position, speed, angle, angular speed."""

    state: np.ndarray

    def lines(self) -> np.ndarray:
        """The spikes of the state, uint8 0/1 ``[4 * BINS]``: one line of each variable is set."""
        place = np.clip((self.state / RANGES + 1) / 2 * BINS, 0, BINS - 1).astype(int)
        spikes = np.zeros((4, BINS), np.uint8)
        spikes[np.arange(4), place] = 1
        return spikes.ravel()

    def move(self, force: float) -> None:
        """Advance 20 ms under ``force`` (N). Cart 1 kg, pole 0.1 kg, half of its length 0.5 m."""
        x, speed, angle, turn = self.state
        push = (force + 0.05 * turn**2 * math.sin(angle)) / 1.1
        turning = (9.8 * math.sin(angle) - math.cos(angle) * push) / (
            0.5 * (4 / 3 - 0.1 * math.cos(angle) ** 2 / 1.1)
        )
        speed += 0.02 * (push - 0.05 * turning * math.cos(angle) / 1.1)
        turn += 0.02 * turning
        self.state = np.array((x + 0.02 * speed, speed, angle + 0.02 * turn, turn))

    @property
    def fallen(self) -> bool:
        return bool((np.abs(self.state) > LIMITS).any())


@dataclass
class Episode:
    """One episode. By step: spikes, states, and seconds from a state to its answer."""

    spikes: list[tuple[bool, bool]] = field(default_factory=list)
    states: list[np.ndarray] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def balance(decide: Decide, steps: int, seed: int) -> Episode:
    """Run one episode of at most ``steps`` steps, from a random state near the middle.

    It ends earlier if the pole falls.
    """
    plant, episode = Plant(np.random.default_rng(seed).uniform(-0.05, 0.05, 4)), Episode()
    while len(episode.spikes) < steps and not plant.fallen:
        lines = plant.lines()
        start = time.perf_counter()
        left, right = decide(lines)
        episode.seconds.append(time.perf_counter() - start)
        plant.move(10.0 * (right - left))
        episode.spikes.append((left, right))
        episode.states.append(plant.state)
    return episode


def by_golden(network: Network) -> Decide:
    """Decide by golden, which runs the sample so far again at every step."""
    from spikeloop.golden.reference.integer import run

    seen = np.zeros((1, network.steps, 4 * BINS), np.uint8)
    steps = iter(range(network.steps))

    def decide(lines: np.ndarray) -> tuple[bool, bool]:
        step = next(steps)
        seen[0, step] = lines
        shorter = replace(network, steps=step + 1)
        result = run(shorter, {"state": seen[:, : step + 1]}, membranes=False)
        left, right = result.spikes["push"][0, step]
        return bool(left), bool(right)

    return decide


def by_board(link: BoardLink, image: Image) -> Decide:
    """Decide by a board, with one frame to it and one back at every step."""
    first = image.placement.inputs[0].first_axon
    link.execute([link.control(CONTROL_CLEAR), Command(RUN, 0)])

    def decide(lines: np.ndarray) -> tuple[bool, bool]:
        commands = [*input_commands(pack(lines), lines, first), Command(RUN, 1)]
        items: Sequence[int] = link.execute(commands)[-1].tolist()
        fired = {item & 0xFFFF for item in items if item >> 24 == ITEM_EVENT}
        return 0 in fired, 1 in fired

    return decide


def closed_loop(port: str | None, steps: int, seed: int) -> dict[str, Any]:
    """Run one episode on a board and by golden, and compare them.

    port: of the board; None for a virtual one in this process.
    The result has ``same`` (steps whose spikes agree), ``equal`` (all spikes and states agree) and
    ``latency_ms`` (least, median and most of a step on the board).
    InputError for steps out of 1..65536.
    """
    check_int("steps of the closed loop", steps, 1, 65536)
    check_int("seed of the closed loop", seed, 0, (1 << 63) - 1)
    network = controller(steps)
    image = pack_image(network, chip=preset("tiny"))
    if port:
        board = open_board(port, image)
    else:
        board = Board(Session(Wire(BoardModel(image.chip))), image)
    with board:
        got = balance(by_board(board.link, image), steps, seed)
    want = balance(by_golden(network), steps, seed)
    same = sum(a == b for a, b in zip(got.spikes, want.spikes, strict=False))
    equal = same == len(got.spikes) == len(want.spikes)
    low, middle, high = (1e3 * float(np.quantile(got.seconds, q)) for q in (0, 0.5, 1))
    return {
        "nature": board.nature,
        "steps": len(got.spikes),
        "same": same,
        "fallen": len(got.spikes) < steps,
        "equal": equal and np.array_equal(got.states, want.states),
        "latency_ms": {"least": low, "median": middle, "most": high},
    }
