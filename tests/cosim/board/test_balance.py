"""The closed loop: the pole stays up, and the chip behind the wire equals the golden."""

import json

import numpy as np
import pytest

from spikeloop.cosim.board.balance import Plant, balance, by_board, by_golden, controller
from spikeloop.cosim.board.link import Board
from spikeloop.cosim.cli import main
from spikeloop.pysim.chip.params import preset
from spikeloop.pysim.image.pack import pack
from tests.cosim.board.boards import session

STEPS = 150


@pytest.mark.parametrize("episode", [0, 1])
def test_golden_and_virtual_board_step_for_step(episode: int, seed: int) -> None:
    network = controller(STEPS)
    image = pack(network, chip=preset("tiny"))
    want = balance(by_golden(network), STEPS, seed + episode)
    board = Board(session(image.chip)[1], image)
    got = balance(by_board(board.link, image), STEPS, seed + episode)
    assert got.spikes == want.spikes and len(got.spikes) == STEPS
    np.testing.assert_array_equal(got.states, want.states)
    assert set(got.spikes) >= {(True, False), (False, True)}


def test_without_the_chip_the_pole_falls() -> None:
    assert len(balance(lambda lines: (False, False), 500, 0).spikes) < 200
    assert len(balance(lambda lines: (False, True), 500, 0).spikes) < 30


def test_each_variable_is_one_spike(rng: np.random.Generator) -> None:
    for _ in range(100):
        assert (Plant(rng.normal(0, 3, 4)).lines().reshape(4, 8).sum(axis=1) == 1).all()


def test_the_command(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["board", "balance", "--steps", "20", "--json"])
    said = json.loads(capfd.readouterr().out)
    assert end.value.code == 0
    assert (said["nature"], said["steps"], said["equal"], said["fallen"]) == (
        "virtual board",
        20,
        True,
        False,
    )
