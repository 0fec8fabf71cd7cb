"""Currents and adaptations worked out by hand from docs/arithmetic.md; P, Q and R are 8."""

import pytest

from .model import States, run, sata, step
from .test_model import neuron


def with_current(mode: str = "new", **changes) -> dict:
    """A membrane that forgets and never fires, so that v' is what the current drives it to."""
    return neuron(
        Q=8,
        k0=[0],
        fire=False,
        **{
            "current": mode,
            "current_k0": [1],
            "current_sign": [[0, 0, 0]],
            "current_shift": [[0, 0, 0]],
            "current_rounding": "floor",
            "gain": 0,
            "fraction": 0,
            **changes,
        },
    )


def with_adaptation(mode: str = "new", **changes) -> dict:
    """Integrates and fires at 10; a soft reset subtracts 10, a spike adds 8 to the adaptation."""
    return neuron(
        R=8,
        **{
            "v_th": [10],
            "v_sub": [10],
            "reset": "soft",
            "adaptation": mode,
            "adaptation_k0": [1],
            "adaptation_sign": [[0, 0, 0]],
            "adaptation_shift": [[0, 0, 0]],
            "adaptation_rounding": "floor",
            "adaptation_step": 8,
            "adaptation_scale": 0,
            "adaptation_reset": False,
            **changes,
        },
    )


def test_sata():
    assert [sata(x, 8) for x in (-1, 0, 255, 256)] == [0, 0, 255, 255]


def test_new_drives_in_the_same_step_and_old_one_later():
    assert step(with_current("new"), 0, States(0, y=20), 5)[0] == States(25, y=25)
    assert step(with_current("old"), 0, States(0, y=20), 5)[0] == States(20, y=25)


def test_gain_and_fraction():
    params = with_current(gain=3, fraction=2)
    assert step(params, 0, States(0, y=7), 5)[0] == States(11, y=47)  # 7 + 5 * 8; floor(47 / 4)
    assert step(params, 0, States(0, y=-7), -5)[0] == States(-12, y=-47)  # floor, by no choice
    odd = params | {"current_rounding": "toward_zero", "rounding": "toward_zero"}
    assert step(odd, 0, States(0, y=-7), -5)[0] == States(-12, y=-47)
    assert step(with_current(fraction=8), 0, States(0, y=-1), 0)[0].v == -1  # fraction = Q


@pytest.mark.parametrize(
    "rounding, y, after",
    [
        ("floor", 7, 5),  # 7 - 3 + 1 - 0
        ("toward_zero", 7, 5),
        ("at_least_one", 7, 4),  # 7 - 3 + 1 - 1
        ("floor", -7, -4),  # -7 + 4 - 2 + 1
        ("toward_zero", -7, -5),  # -7 + 3 - 1 + 0
        ("at_least_one", -7, -4),  # -7 + 3 - 1 + 1
    ],
)
def test_the_current_decays_by_its_own_rounding(rounding: str, y: int, after: int):
    params = with_current(
        current_sign=[[-1, 1, -1]], current_shift=[[1, 2, 3]], current_rounding=rounding
    )
    assert step(params, 0, States(0, y=y), 0)[0].y == after


def test_clip_4_and_the_exact_sum_before_it():
    params = with_current(gain=4)
    assert step(params, 0, States(0, y=111), 1) == (States(127, y=127), False, False)
    assert step(params, 0, States(0, y=112), 1) == (States(127, y=127), False, True)
    assert step(params, 0, States(0, y=-113), -1) == (States(-128, y=-128), False, True)
    # a decay of 3 * 127 and a sum of -16 * 20: only what they add up to is clipped
    threefold = with_current(gain=4, current_sign=[[1, 1, 0]])
    assert step(threefold, 0, States(0, y=127), -20) == (States(61, y=61), False, False)


def test_clip_4_counts_once_with_clip_1_and_without_it():
    params = with_current(bias=[100])
    assert step(params, 0, States(0, y=127), 1) == (States(127, y=127), False, True)
    assert step(params | {"bias": [-5]}, 0, States(0, y=127), 1)[1:] == (False, True)


def test_a_bias_drives_the_membrane_only_and_rectify_sees_it():
    params = with_current(bias=[5], rectify=True)
    assert step(params, 0, States(0, y=-20), 0)[0] == States(0, y=-20)
    assert step(params, 0, States(0, y=-3), 0)[0] == States(2, y=-3)


def test_current_and_adaptation_go_on_while_a_neuron_is_held():
    params = with_current(
        "new", current_k0=[0], current_sign=[[1, 0, 0]], current_shift=[[1, 0, 0]]
    )
    held = params | {"hold": True, "v_reset": 9}
    assert step(held, 0, States(0, c=2, y=40), 3)[0] == States(9, c=1, y=23)
    decaying = {"adaptation_sign": [[-1, 0, 0]], "adaptation_shift": [[2, 0, 0]]}
    held = with_adaptation(hold=True, v_reset=9, **decaying)
    new, spike, _ = step(held, 0, States(100, c=1, a=16), 0)
    assert (new, spike) == (States(9, c=0, a=12), False)  # masked: no step is added


def test_the_threshold_is_raised_by_the_decayed_or_the_old_adaptation():
    decaying = {"adaptation_sign": [[-1, 0, 0]], "adaptation_shift": [[1, 0, 0]]}
    new, old = with_adaptation("new", **decaying), with_adaptation("old", **decaying)
    assert step(new, 0, States(0, a=16), 17)[:2] == (States(17, a=8), False)  # 10 + 8
    assert step(new, 0, States(0, a=16), 18)[:2] == (States(8, a=16), True)  # 8 + 8
    assert step(old, 0, States(0, a=16), 25)[:2] == (States(25, a=8), False)  # 10 + 16
    assert step(old, 0, States(0, a=16), 26)[:2] == (States(16, a=16), True)


def test_the_scale_and_the_raised_reset():
    params = with_adaptation(adaptation_scale=2)
    assert step(params, 0, States(0, a=15), 13)[:2] == (States(3, a=23), True)  # 10 + 3
    assert step(params, 0, States(0, a=15), 12)[1] is False
    lower = params | {"adaptation_reset": True}
    assert step(lower, 0, States(0, a=15), 13)[:2] == (States(0, a=23), True)
    hard = lower | {"reset": "hard", "v_reset": 4}
    assert step(hard, 0, States(0, a=15), 13)[0].v == 4  # only a soft reset
    assert step(lower | {"reset": "none"}, 0, States(0, a=15), 13)[0].v == 13


def test_a_threshold_out_of_the_membrane_range_is_never_reached():
    params = with_adaptation(v_th=[100], adaptation_step=0)
    assert step(params, 0, States(0, a=27), 127)[1] is True
    assert step(params, 0, States(0, a=28), 500)[1:] == (False, True)  # 127 < 128; clip 1
    assert step(params | {"v_th": [-100]}, 0, States(0, a=255), 127)[1] is False


def test_clip_2_of_the_raised_reset():
    params = with_adaptation(v_th=[-128], v_sub=[100], adaptation_reset=True, adaptation_step=0)
    assert step(params, 0, States(0, a=28), 0) == (States(-128, a=28), True, False)
    assert step(params, 0, States(0, a=29), 0) == (States(-128, a=29), True, True)
    assert step(params | {"adaptation_reset": False}, 0, States(0, a=29), 0)[2] is False


def test_clips_5_and_6():
    double = with_adaptation(adaptation_sign=[[1, 0, 0]], v_th=[127], adaptation_step=1)
    assert step(double, 0, States(0, a=127), 0) == (States(0, a=254), False, False)
    assert step(double, 0, States(0, a=128), 0) == (States(0, a=255), False, True)
    below = double | {"adaptation_k0": [0], "adaptation_sign": [[-1, 0, 0]]}
    assert step(below, 0, States(0, a=1), 0) == (States(0, a=0), False, True)
    kept = with_adaptation(adaptation_step=8, v_th=[-128], v_sub=[0], adaptation_scale=8)
    assert step(kept, 0, States(0, a=247), 0) == (States(0, a=255), True, False)
    assert step(kept, 0, States(0, a=248), 0) == (States(0, a=255), True, True)


def test_pages_of_both_decays():
    params = with_current() | {
        "bias": [0, 0],
        "v_th": [0, 0],
        "v_sub": [0, 0],
        "k0": [0, 0],
        "leak_sign": [[0, 0, 0]] * 2,
        "leak_shift": [[0, 0, 0]] * 2,
        "current_k0": [1, 0],
        "current_sign": [[0, 0, 0], [1, 0, 0]],
        "current_shift": [[0, 0, 0], [2, 0, 0]],
    }
    assert [step(params, k, States(0, y=64), 0)[0].y for k in range(3)] == [64, 16, 16]


def test_a_run_starts_at_zero_and_records_both():
    params = {
        **with_adaptation(bias=[10], current="old"),
        **{key: value for key, value in with_current("old").items() if key.startswith("current")},
        "gain": 0,
        "fraction": 0,
    }
    network = {
        "P": 8,
        "Q": 8,
        "R": 8,
        "steps": 4,
        "inputs": {"x": 1},
        "edges": [{"source": "x", "target": "a", "delay": 0, "weights": [[3]]}],
        "populations": {"a": {"size": 1, "pages": 1, "neurons": [params]}},
    }
    trace = run(network, {"x": [[1], [0], [1], [0]]})["a"]
    # u: 0 + 0 + 10 fires; 0 + 3 + 10 < 18; 13 + 3 + 10 fires at 18; 16 + 6 + 10 fires at 26
    assert trace["synaptic"] == [[3], [3], [6], [6]]
    assert trace["membranes"] == [[0], [13], [16], [22]]
    assert trace["spikes"] == [[1], [0], [1], [1]]
    assert trace["adaptations"] == [[8], [8], [16], [24]]
    with pytest.raises(ValueError, match="a neuron of a has a current, the network no Q"):
        run(network | {"Q": 0}, {"x": [[1], [0], [1], [0]]})
