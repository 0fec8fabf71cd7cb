"""Cases worked out by hand from docs/arithmetic.md; P is 8 (-128 .. 127) unless said."""

import pytest

from .model import States, run, sat, shr
from .model import step as full_step


def neuron(**changes) -> dict:
    """One page; keeps its membrane, no leak, fires at 127, hard reset to 0."""
    return {
        "P": 8,
        "bias": [0],
        "rectify": False,
        "k0": [1],
        "leak_sign": [[0, 0, 0]],
        "leak_shift": [[0, 0, 0]],
        "rounding": "floor",
        "fire": True,
        "v_th": [127],
        "reset": "hard",
        "v_reset": 0,
        "v_sub": [0],
        "low": "none",
        "v_low": 0,
        "v_low_reset": 0,
        "v_low_add": 0,
        "refractory": 0,
        "hold": False,
        "v_init": 0,
        **changes,
    }


def step(params: dict, k: int, v: int, c: int, z: int) -> tuple[int, int, bool, bool]:
    """A step of a neuron without current and adaptation: v', c', spike, saturation."""
    new, spike, saturated = full_step(params, k, States(v, c), z)
    assert (new.y, new.a) == (0, 0)
    return new.v, new.c, spike, saturated


def alone(params: dict, steps: int, **population: int) -> dict:
    """One neuron without inputs."""
    pages = len(params["bias"])
    return run(
        {
            "P": 8,
            "steps": steps,
            "inputs": {},
            "edges": [],
            "populations": {"a": {"size": 1, "pages": pages, "neurons": [params], **population}},
        },
        {},
    )["a"]


@pytest.mark.parametrize(
    "v, m, floor, toward_zero, at_least_one",
    [
        (-5, 1, -3, -2, -2),  # -2.5
        (5, 1, 2, 2, 2),
        (-8, 3, -1, -1, -1),  # exact
        (-9, 3, -2, -1, -1),
        (-1, 3, -1, 0, -1),
        (1, 3, 0, 0, 1),
        (0, 3, 0, 0, 0),
        (-5, 0, -5, -5, -5),
        (-128, 8, -1, 0, -1),  # m = P
        (127, 8, 0, 0, 1),
    ],
)
def test_shift(v, m, floor, toward_zero, at_least_one):
    assert [shr(v, m, r) for r in ("floor", "toward_zero", "at_least_one")] == [
        floor,
        toward_zero,
        at_least_one,
    ]


def test_sat():
    assert [sat(x, 8) for x in (-129, -128, 127, 128)] == [-128, -128, 127, 127]


@pytest.mark.parametrize(
    "rounding, v, after",
    [
        ("floor", 7, 5),  # 7 - 3 + 1 - 0
        ("toward_zero", 7, 5),
        ("at_least_one", 7, 4),  # 7 - 3 + 1 - 1
        ("floor", -7, -4),  # -7 + 4 - 2 + 1
        ("toward_zero", -7, -5),  # -7 + 3 - 1 + 0
        ("at_least_one", -7, -4),  # -7 + 3 - 1 + 1
    ],
)
def test_each_leak_term_is_rounded_alone(rounding, v, after):
    params = neuron(leak_sign=[[-1, 1, -1]], leak_shift=[[1, 2, 3]], rounding=rounding)
    assert step(params, 0, v, 0, 0) == (after, 0, False, False)


def test_leak_without_the_membrane():
    params = neuron(k0=[0], leak_sign=[[1, 0, 0]], leak_shift=[[2, 0, 0]])
    assert step(params, 0, -6, 0, 0)[0] == -2
    assert step(params | {"rounding": "toward_zero"}, 0, -6, 0, 0)[0] == -1
    assert step(params | {"rounding": "at_least_one"}, 0, 3, 0, 0)[0] == 1
    assert (
        step(neuron(k0=[0], rounding="at_least_one"), 0, 50, 0, 4)[0] == 4
    )  # terms of sign 0 are off


def test_rectify_acts_on_sum_plus_bias():
    params = neuron(rectify=True, bias=[5])
    assert step(params, 0, 10, 0, -20)[0] == 10
    assert step(params, 0, 10, 0, -3)[0] == 12
    assert step(params, 0, -10, 0, -20)[0] == -10  # the membrane itself is not rectified


def test_clip_1():
    assert step(neuron(), 0, 100, 0, 26) == (126, 0, False, False)
    assert step(neuron(), 0, 100, 0, 27) == (0, 0, True, False)
    assert step(neuron(), 0, 100, 0, 28) == (0, 0, True, True)  # 128 -> 127, still the threshold
    assert step(neuron(), 0, -100, 0, -28) == (-128, 0, False, False)
    assert step(neuron(), 0, -100, 0, -29) == (-128, 0, False, True)
    fourfold = neuron(
        leak_sign=[[1, 1, 1]]
    )  # shifts of 0: L = -512 is exact, only L + I is clipped
    assert step(fourfold, 0, -128, 0, 500) == (-12, 0, False, False)


def test_soft_reset_and_clip_2():
    params = neuron(v_th=[-120], reset="soft", v_sub=[50])
    assert step(params, 0, 0, 0, 20) == (-30, 0, True, False)
    assert step(params, 0, -78, 0, 0) == (-128, 0, True, False)
    assert step(params, 0, -79, 0, 0) == (-128, 0, True, True)  # -129
    assert step(params | {"v_sub": [-100]}, 0, 100, 0, 0) == (127, 0, True, True)  # 200
    assert step(params, 0, -121, 0, 0) == (-121, 0, False, False)  # no spike, no clip 2
    assert step(params | {"reset": "none"}, 0, -79, 0, 0) == (-79, 0, True, False)
    assert step(params | {"v_sub": [-50]}, 0, 120, 0, 20) == (
        127,
        0,
        True,
        True,
    )  # both clips, counted once


def test_lower_bound_and_clip_3():
    params = neuron(v_low=-10, v_low_reset=3, v_low_add=-100)
    assert step(params, 0, -50, 0, 0)[0] == -50
    assert step(params | {"low": "clip"}, 0, -50, 0, 0) == (-10, 0, False, False)
    assert step(params | {"low": "reset"}, 0, -50, 0, 0) == (3, 0, False, False)
    assert step(params | {"low": "reset"}, 0, -10, 0, 0) == (
        -10,
        0,
        False,
        False,
    )  # at the bound is not below it
    assert step(params | {"low": "add"}, 0, -50, 0, 0) == (-128, 0, False, True)
    assert step(params | {"low": "add", "v_low_add": 30}, 0, -50, 0, 0) == (
        -20,
        0,
        False,
        False,
    )  # added once
    assert step(params | {"low": "clip"}, 0, -100, 0, -100) == (
        -10,
        0,
        False,
        True,
    )  # clip 1 came before


def test_a_spike_skips_the_lower_bound():
    params = neuron(v_th=[-60], low="clip", v_low=-10, v_sub=[20], v_reset=-90)
    assert step(params | {"reset": "none"}, 0, -50, 0, 0) == (-50, 0, True, False)
    assert step(params | {"reset": "soft"}, 0, -50, 0, 0) == (-70, 0, True, False)
    assert step(params, 0, -50, 0, 0) == (-90, 0, True, False)


def test_refractory_integrates():
    trace = alone(neuron(bias=[10], v_th=[10], refractory=2), 7)
    assert [s for (s,) in trace["spikes"]] == [1, 0, 0, 1, 0, 0, 1]
    assert [v for (v,) in trace["membranes"]] == [0, 10, 20, 0, 10, 20, 0]


def test_refractory_holds():
    trace = alone(neuron(bias=[10], v_th=[10], refractory=2, hold=True, v_reset=-3), 6)
    assert [s for (s,) in trace["spikes"]] == [1, 0, 0, 0, 1, 0]
    assert [v for (v,) in trace["membranes"]] == [-3, -3, -3, 7, -3, -3]
    trace = alone(
        neuron(bias=[10], v_th=[10], refractory=2, hold=True, v_reset=-3, reset="soft", v_sub=[4]),
        4,
    )
    assert [v for (v,) in trace["membranes"]] == [
        6,
        -3,
        -3,
        7,
    ]  # held at v_reset from the step after the spike


def test_hold_overrides_the_lower_bound():
    params = neuron(hold=True, v_reset=5, low="add", v_low=-10, v_low_add=-100, v_th=[-20])
    assert step(params, 0, -50, 1, 0) == (5, 0, False, False)  # clip 3 does not act
    assert step(params, 0, -100, 63, -100) == (5, 62, False, True)  # clip 1 counts
    assert step(params, 0, 0, 2, 0) == (5, 1, False, False)  # above v_th, masked
    assert step(params, 0, -50, 0, 0) == (-128, 0, False, True)


def test_read_out():
    params = neuron(fire=False, v_th=[-128], refractory=5, low="clip", v_low=-1)
    assert step(params, 0, 100, 0, 100) == (127, 0, False, True)
    assert step(params, 0, 0, 0, -9) == (-1, 0, False, False)


def test_pages():
    zeros = [[0, 0, 0]] * 3
    trace = alone(
        neuron(
            bias=[1, 2, 4],
            v_th=[100, 100, 6],
            v_sub=[0, 0, 5],
            reset="soft",
            k0=[1, 1, 1],
            leak_sign=zeros,
            leak_shift=zeros,
        ),
        5,
    )
    assert [v for (v,) in trace["membranes"]] == [1, 3, 2, 1, 5]  # 1; 3; 7 - 5; 6 - 5; 5
    assert [s for (s,) in trace["spikes"]] == [0, 0, 1, 1, 0]
    counting = neuron(bias=[1, 10], v_th=[127] * 2, v_sub=[0] * 2, k0=[1] * 2)
    counting |= {"leak_sign": zeros[:2], "leak_shift": zeros[:2]}
    for page_shift, want in ((1, [1, 2, 12, 22, 32, 42]), (2, [1, 2, 3, 4, 14, 24])):
        trace = alone(counting, 6, page_shift=page_shift)
        assert [v for (v,) in trace["membranes"]] == want
    trace = alone(
        neuron(
            v_init=64,
            bias=[0] * 3,
            v_th=[127] * 3,
            v_sub=[0] * 3,
            k0=[1, 0, 0],
            leak_sign=[[-1, 0, 0], [1, 0, 0], [-1, 0, 0]],
            leak_shift=[[1, 0, 0], [2, 0, 0], [3, 0, 0]],
        ),
        4,
    )
    assert [v for (v,) in trace["membranes"]] == [
        32,
        8,
        -1,
        1,
    ]  # 64 - 32; 32 >> 2; -(8 >> 3); -(-1 >> 3)


def relay(size: int = 1) -> dict:
    """Stateless neurons that spike when something positive arrives."""
    return {"size": size, "pages": 1, "neurons": [neuron(k0=[0], v_th=[1])] * size}


def test_delays():
    network = {
        "P": 8,
        "steps": 5,
        "inputs": {"x": 1},
        "populations": {"c": relay(), "b": relay(), "a": relay()},
        "edges": [
            {"source": "a", "target": "c", "delay": 2, "weights": [[1]]},
            {"source": "a", "target": "b", "delay": 0, "weights": [[1]]},
            {"source": "x", "target": "a", "delay": 1, "weights": [[1]]},
        ],
    }
    trace = run(network, {"x": [[1], [0], [1], [0], [1]]})
    assert [s for (s,) in trace["a"]["spikes"]] == [0, 1, 0, 1, 0]
    assert [s for (s,) in trace["b"]["spikes"]] == [0, 1, 0, 1, 0]  # the same step
    assert [s for (s,) in trace["c"]["spikes"]] == [
        0,
        0,
        0,
        1,
        0,
    ]  # the second would come at step 5


def test_recurrence():
    network = {
        "P": 8,
        "steps": 4,
        "inputs": {"x": 1},
        "populations": {"a": relay()},
        "edges": [
            {"source": "x", "target": "a", "delay": 0, "weights": [[1]]},
            {"source": "a", "target": "a", "delay": 1, "weights": [[-2]]},
        ],
    }
    trace = run(network, {"x": [[1]] * 4})
    assert [s for (s,) in trace["a"]["spikes"]] == [1, 0, 1, 0]
    assert [v for (v,) in trace["a"]["membranes"]] == [0, -1, 0, -1]
    network["edges"][1]["delay"] = 0
    with pytest.raises(ValueError, match="cycle"):
        run(network, {"x": [[1]] * 4})


def test_weights_add_over_lines_and_edges():
    readout = {
        "size": 2,
        "pages": 1,
        "neurons": [neuron(fire=False), neuron(fire=False, v_init=-100)],
    }
    network = {
        "P": 8,
        "steps": 3,
        "inputs": {"x": 2},
        "populations": {"a": readout},
        "edges": [
            {"source": "x", "target": "a", "delay": 0, "weights": [[1, 2], [10, -30]]},
            {"source": "x", "target": "a", "delay": 1, "weights": [[100, 5], [-100, 0]]},
        ],
    }
    trace = run(network, {"x": [[1, 0], [1, 1], [0, 1]]})["a"]
    # sums: (1, 2); (11, -28) + (100, 5); (10, -30) + (0, 5)
    assert trace["membranes"] == [[1, -98], [112, -121], [122, -128]]
    assert trace["saturations"] == [0, 0, 1]
    assert trace["spikes"] == [[0, 0]] * 3
