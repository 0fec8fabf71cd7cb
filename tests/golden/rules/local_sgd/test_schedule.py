"""Schedules and weak supervision, against numbers worked out by hand."""

import math

import pytest
import torch
from torch import Tensor

from spikeloop.golden.rules.local_sgd.schedule import STATIC, Modes, static

# 9 epochs, c2 = 1/4: 0 in the first two, then 0, 1/6, ... 6/6 of the time from c2 on. 8 blocks, c1
# = 1: 8 d; 8 (1 - (1 - d)^2); 8 (exp(3 d) - 1) / 19.0855
BY_HAND = {
    "linear": [0, 0, 0, 1, 2, 4, 5, 6, 8],
    "quadratic": [0, 0, 0, 2, 4, 6, 7, 7, 8],
    "exponential": [0, 0, 0, 0, 0, 1, 2, 4, 8],
}


@pytest.mark.parametrize("kind", STATIC)
def test_static_schedules(kind: str):
    assert [static(kind, epoch, 9, 8, 1.0, 0.25) for epoch in range(9)] == BY_HAND[kind]
    half = [static(kind, epoch, 9, 8, 0.5, 0.0) for epoch in range(9)]
    assert half[0] == 0 and half[-1] == 4 and half == sorted(half)
    assert static(kind, 0, 1, 8, 1.0, 0.0) == 0  # one epoch: all by gradients


def test_the_exponential_schedule_is_below_and_the_quadratic_above_the_line():
    for epoch in range(101):
        low, middle, high = (
            static(kind, epoch, 101, 1000, 1.0, 0.2)
            for kind in ("exponential", "linear", "quadratic")
        )
        assert low <= middle <= high and (low < high or epoch <= 20 or epoch == 100)


def test_the_sign_turns_for_one_epoch_after_a_rise_of_the_loss():
    modes, signs = Modes(3), []
    for loss in (1.0, 0.5, 0.7, 0.6, 0.6, 0.8):
        signs.append(modes.sign())
        modes.end_epoch(loss)
    assert [*signs, modes.sign()] == [1, 1, 1, -1, 1, 1, -1]


def updates(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_the_dynamic_schedule_moves_when_the_first_block_that_learns_slows_down():
    modes = Modes(3)
    modes.watch(updates(4, 2, 1), alpha=0.5, move=1)
    assert int(modes.local) == 0  # the first value is the average
    modes.watch(updates(2.1, 0.1, 1), alpha=0.5, move=1)
    # 0.9 * 4 + 0.1 * 2.1 = 3.81, half of it 1.905; block 1 does not count yet
    assert int(modes.local) == 0
    assert modes.average.tolist() == pytest.approx([3.81, 0.9 * 2 + 0.01, 1])
    modes.watch(updates(1.85, 1, 1), alpha=0.5, move=1)  # half of the new average 3.614 is 1.807
    assert int(modes.local) == 0
    modes.watch(updates(1.7, 1, 1), alpha=0.5, move=1)  # average 3.4226
    assert int(modes.local) == 1
    # block 1: 1.81 -> 1.729 -> 1.6561 -> 1.58049; block 0 is left alone
    modes.watch(updates(9, 0.9, 1), alpha=0.5, move=5)
    assert int(modes.local) == 1
    assert modes.average.tolist() == pytest.approx([3.4226, 1.58049, 1])
    modes.watch(updates(9, 0.7, 1), alpha=0.5, move=5)
    assert int(modes.local) == 3
    modes.watch(updates(9, 9, 9), alpha=0.5, move=5)
    assert int(modes.local) == 3
    modes.grow(1)
    assert int(modes.local) == 3  # never back


def test_checkpoints_hold_the_modes():
    modes, other = Modes(2), Modes(2)
    modes.watch(updates(4, 2), alpha=0.5, move=1)
    modes.grow(1)
    modes.end_epoch(1.0)
    other.load_state_dict(modes.state_dict())
    assert (int(other.local), other.average.tolist()) == (1, [4, 2])
    assert math.isnan(other.losses[0]) and float(other.losses[1]) == 1
