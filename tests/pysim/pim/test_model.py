"""The PIM macro: counters in closed form, the streaming order, cases by hand, what is refused."""

from typing import Any

import numpy as np
import pytest

from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.pim.layer import PimLayer, PimParams
from spikeloop.pysim.pim.memories import adc_seeds, stream_word
from spikeloop.pysim.pim.model import run
from spikeloop.pysim.pim.window import PimWindow
from tests.make.pim_cases import random_images, random_layer


@pytest.mark.parametrize("case", range(40))
def test_counters_are_their_closed_form(case: int, seed: int) -> None:
    rng = np.random.default_rng([seed, case])
    layer = random_layer(rng)
    trace = run(layer, random_images(rng, layer, 2))
    assert {
        name: trace.counters[name] for name in ("n_read", "n_blp", "n_adc", "n_cycles")
    } == layer.counters(2)
    assert trace.codes.size == trace.counters["n_adc"]


def test_counters_of_the_example() -> None:
    """28 x 28 x 1, 3 x 3 same, 32 channels: 25 cycles an evaluation, one more for the sums."""
    layer = PimLayer.make(
        PimParams(), PimWindow.make((1, 28, 28), (3, 3), padding=1), np.zeros((32, 1, 3, 3), int)
    )
    assert layer.counters() == {
        "n_read": 784,
        "n_blp": 225_792,
        "n_adc": 25_088,
        "n_cycles": 784 * 26,
    }


def test_one_conversion_by_hand() -> None:
    """v = 3 * 5 - 2 * 7 = 1.

    At limit 200, gain 1.5, offset +1 LSB, LSB 2: (1.5 + 2) / 2 = 1.75, rounds to 2.
    """
    p = PimParams(banks=1, columns=16, rows=8, active_rows=8, share=1)
    layer = PimLayer.make(
        p,
        PimWindow.make((2,)),
        np.array([[5, -7]]),
        gain=6144,
        offset=16,
        shift=1,
        limit=200,
        bias=np.array([-5]),
    )
    trace = run(layer, np.array([[3, 2]]))
    assert trace.codes.ravel().tolist() == [2] and trace.currents.ravel().tolist() == [-3]


def test_halves_round_up() -> None:
    p = PimParams(banks=1, columns=16, rows=8, active_rows=8, share=1)
    layer = PimLayer.make(p, PimWindow.make((1,)), np.array([[1], [-1]]), shift=1)
    assert run(layer, np.array([[1], [3]])).codes.reshape(2, 2).tolist() == [[1, 0], [2, -1]]


def test_stuck_cells_act_on_their_column_only() -> None:
    p = PimParams(banks=1, columns=16, rows=8, weight_bits=4, active_rows=8, share=1, adc_bits=12)
    stuck0, stuck1 = np.zeros((2, 1, 8, 16), bool)
    stuck0[0, 0, 1] = stuck1[0, 0, 7] = True  # word 0 loses its bit 1, word 1 becomes negative
    layer = PimLayer.make(
        p, PimWindow.make((1,)), np.array([[7], [0], [7]]), stuck0=stuck0, stuck1=stuck1
    )
    assert run(layer, np.array([[1]])).currents.ravel().tolist() == [5, -8, 7]


def test_seeds_are_those_of_splitmix64() -> None:
    assert (
        adc_seeds(PimParams(), 1234567)[0] == 6457827717110365317 & 0xFFFFFFFF
    )  # its published first output
    assert len(set(adc_seeds(PimParams(), 0).tolist())) == 24
    assert stream_word(0) == 0 and stream_word(1) != stream_word(2)


def test_addresses_walk_the_window() -> None:
    window = PimWindow.make((2, 3, 3), (2, 2), stride=2, padding=1)
    assert window.target == (2, 2)
    assert window.address(0).tolist() == [-1, -1, -1, 0, -1, -1, -1, 9]
    assert window.address(3).tolist() == [4, 5, 7, 8, 13, 14, 16, 17]
    cube = PimWindow.make((1, 2, 2, 2), (2, 2, 2))
    assert cube.address(0).tolist() == list(range(8))
    assert PimWindow.make((4,)).address(np.arange(1)).tolist() == [[0, 1, 2, 3]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"share": 5}, "share must divide the 42 words of a bank"),
        ({"layout": "sliced", "share": 8}, "must divide the 252 weight columns"),
        ({"active_rows": 33}, "active_rows must divide the 128 rows"),
        ({"pulse_bits": 3, "layout": "sliced"}, "pulse_bits must divide the 8"),
        ({"pulse_bits": 4}, "must be the 8 pixel bits in the merged layout"),
        ({"layout": "round"}, "merged or sliced"),
        ({"banks": 0}, "1..16"),
        ({"weight_bits": 9}, "2..8"),
        ({"ir_drop": 1}, "true or false"),
        ({"active_rows": 129}, "1..128"),
        ({"adc_bits": True}, "3..20"),
    ],
)
def test_bad_macros_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        PimParams(**change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"weights": np.full((2, 9), 32)},
            r"weights of a PIM layer of 6 bits must be in -32..31, not 32",
        ),
        ({"weights": np.zeros((2, 9))}, "must be integers"),
        ({"weights": np.zeros((2, 8), int)}, "9 kernel rows"),
        ({"weights": np.zeros((673, 9), int)}, "rows of a PIM layer must be at most 128, not 160"),
        ({"shift": 17}, "shift of a"),
        ({"limit": -1}, "limit of a PIM layer"),
        ({"gain": 8192}, "gain of a PIM layer must be in 0..8191"),
        ({"bias": np.zeros(3, int)}, "shape"),
        ({"offset": -513}, "offset"),
        ({"keep": 255}, "without ir_drop"),
        ({"colour": 1}, "must be one of"),
        ({"stuck0": 2}, "stuck0"),
    ],
)
def test_bad_layers_are_refused(change: dict[str, Any], message: str) -> None:
    arguments = {"weights": np.zeros((2, 9), int), **change}
    with pytest.raises(InputError, match=message):
        PimLayer.make(PimParams(), PimWindow.make((1, 4, 4), (3, 3)), **arguments)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.full((1, 1, 4, 4), 256), "pixels of a PIM layer of 8 bits must be in 0..255, not 256"),
        (np.full((1, 16), -1), "not -1"),
        (np.zeros((1, 4, 4), int), "shape"),
        (np.zeros((1, 1, 4, 4)), "integers"),
    ],
)
def test_bad_images_are_refused(images: np.ndarray, message: str) -> None:
    layer = PimLayer.make(PimParams(), PimWindow.make((1, 4, 4), (3, 3)), np.zeros((2, 9), int))
    with pytest.raises(InputError, match=message):
        run(layer, images)


@pytest.mark.parametrize(
    "arguments",
    [
        {"source": (1, 4), "kernel": (3, 3)},
        {"source": (1, 2, 2), "kernel": (3, 3)},
        {"source": (0, 4, 4), "kernel": (3, 3)},
        {"source": (1, 4, 4), "kernel": (3, 3), "stride": 0},
        {"source": (1, 4, 4), "kernel": (3, 3), "padding": (1,)},
    ],
)
def test_bad_windows_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="of a PIM layer must"):
        PimWindow.make(**arguments)


def test_parameters_survive_a_file() -> None:
    assert PimParams.from_dict(PimParams(banks=2).to_dict()) == PimParams(banks=2)
    with pytest.raises(InputError, match="exactly"):
        PimParams.from_dict({"banks": 1})
