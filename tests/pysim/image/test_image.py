"""pysim/image/image.py: rows as docs/architecture.md says."""

from typing import Any

import numpy as np
import pytest

from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.chip.records import (
    bound_record,
    fire_record,
    leak_record,
    neuron_record,
    route_record,
    unpack_lanes,
    unpack_plain,
    word_record,
)
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.network.elements import Edge, LeakRounding, LowBound, Reset, WeightFormat
from tests.make.small import CHIP, network


def test_excess_weights_row_by_row() -> None:
    """Weight w of 4 bits is stored as w + 8 in lanes 4 n..

    of the word, on every axon, used or not.
    """
    bits = pack(network(), chip=CHIP).bits("synapse").reshape(-1, 8, 8)  # words in use, axon, lane
    stored = (bits.reshape(3, 8, 2, 4) << np.arange(4)).sum(axis=3)  # two neurons a word
    hid = np.array([[3, 1, -2], [0, 2, 7], [-8, 0, 1]]) + 8
    assert (
        stored[0, :3].tolist() == hid[:, :2].tolist()
        and stored[1, :3, 0].tolist() == hid[:, 2].tolist()
    )
    assert (stored[0, 3:] == 8).all() and (
        stored[1, 3:, 0] == 8
    ).all()  # the excess of 0 on all other axons
    assert (stored[1, :, 1] == 0).all()  # lanes that no neuron uses
    assert stored[2, 3:6].tolist() == [[9, 8], [10, 5], [8, 10]] and (stored[2, :3] == 8).all()


@pytest.mark.parametrize(
    ("form", "bits", "columns"),
    [
        (WeightFormat.BINARY, 1, {0: [0], 1: [1]}),
        (WeightFormat.TERNARY, 2, {-1: [0, 0], 0: [1, 0], 1: [1, 1]}),
        (WeightFormat.SIGNED, 1, {-1: [0], 0: [1]}),
        (WeightFormat.SIGNED, 2, {-2: [0, 0], -1: [1, 0], 0: [0, 1], 1: [1, 1]}),
    ],
)
def test_columns_of_formats(form: WeightFormat, bits: int, columns: dict[int, list[int]]) -> None:
    for weight, expected in columns.items():
        net = network(
            hidden={"weight_bits": bits, "weight_format": form},
            edges=(Edge(source="x", target="hid", weights=np.full((3, 3), weight, np.int32)),),
        )
        got = pack(net, chip=CHIP).bits("synapse").reshape(-1, 8, 8)[0, :, : len(expected)]
        assert (got[:3] == expected).all() and (got[3:] == columns[0]).all()


def test_digit_bits_are_planes_of_a_row() -> None:
    """Bit b of lane l is memory bit b * lanes + l."""
    chip = CHIP.replace(digit_bits=2, lanes=8)
    bits = pack(network(), chip=chip).bits("synapse").reshape(2, 8, 2, 8)  # word, axon, bit, lane
    digits = bits[:, :, 0] + 2 * bits[:, :, 1]
    assert (digits[0, :3, 0:6:2] + 4 * digits[0, :3, 1:6:2]).tolist() == [
        [11, 9, 6],
        [8, 10, 15],
        [0, 8, 9],
    ]


def test_fanout_counts_synapses_that_are_not_zero() -> None:
    image = pack(network(), chip=CHIP)
    fanout = (image.bits("fanout").astype(int) << np.arange(6)).sum(axis=1)
    assert fanout.tolist() == [3, 2, 2, 1, 2, 1, 0, 0]


def test_words_and_routes() -> None:
    chip = CHIP.replace(page_shift=9)
    image = pack(network(out={"pages": 2, "page_shift": 9}), chip=chip)
    words = unpack_plain(word_record(chip), image.bits("words"))
    assert {k: v.tolist() for k, v in words.items()} == {
        "used": [1, 1, 1, 0],
        "start": [0, 0, 1, 0],
        "last_page": [0, 0, 1, 0],
        "last_digit": [3, 3, 3, 0],
        "shift": [1, 1, 1, 0],
        "offset": [1, 1, 1, 0],
        "offset_shift": [3, 3, 3, 0],
        "page_shift": [0, 0, 9, 0],
    }
    routes = unpack_plain(route_record(CHIP), image.bits("routes"))
    rows = {0: (1, 3, 1), 4: (1, 4, 1), 64: (1, 5, 1), 128: (2, 0, 0), 132: (2, 1, 0)}
    for row in range(4 * 64):
        assert (routes["kind"][row], routes["address"][row], routes["delay"][row]) == rows.get(
            row, (0, 0, 0)
        )


def test_lane_records() -> None:
    hidden = {
        "bias": [[5, -6, 7], [8, 9, -2048]],
        "pages": 2,
        "v_th": 3,
        "v_sub": [1, 2, 3],
        "k0": [[1, 0, 1], [0, 1, 0]],
        "leak_sign": [[[0, 1, -1], [0, 0, 1], [-1, 1, 0]]],
        "leak_shift": [[[9, 1, 2], [9, 9, 3], [4, 5, 9]]],
        "rounding": [0, 1, 2],
        "rectify": [1, 0, 0],
        "fire": [1, 0, 1],
        "reset": [Reset.HARD, Reset.SOFT, Reset.NONE],
        "v_reset": -4,
        "v_init": [1, 2, 3],
        "low": [LowBound.CLIP, LowBound.RESET, LowBound.ADD],
        "v_low": -9,
        "v_low_reset": -7,
        "v_low_add": 11,
        "refractory": [0, 1, 63],
        "hold": [0, 1, 0],
    }
    for key in ("k0", "rectify", "fire", "hold"):
        hidden[key] = np.array(hidden[key], bool)
    image = pack(network(hidden=hidden), chip=CHIP)

    def lanes(name: str, record: Any, page: int | None) -> dict[str, list[int]]:
        rows = unpack_lanes(record, 8, image.bits(name))
        at = [(0, 0), (0, 4), (1, 0)]
        return {
            k: [int(v[w if page is None else w * 2 + page, lane]) for w, lane in at]
            for k, v in rows.items()
        }

    first = lanes("leak", leak_record(CHIP), 0)
    assert (
        first["bias"] == [5, -6, 7] and first["k0"] == [1, 0, 1] and first["rectify"] == [1, 0, 0]
    )
    assert (first["toward_zero"], first["at_least_one"]) == ([0, 1, 1], [0, 0, 1])
    terms = [
        [(first[f"negative{r}"][i], first[f"shift{r}"][i]) for r in range(3) if first[f"on{r}"][i]]
        for i in range(3)
    ]
    assert terms == [[(1, 4)], [(0, 1), (0, 5)], [(1, 2), (0, 3)]]
    assert first["on0"] == [1, 1, 1]  # terms in use come first
    assert lanes("leak", leak_record(CHIP), 1)["bias"] == [8, 9, -2048]
    assert lanes("fire", fire_record(CHIP), 1) == {"v_th": [3, 3, 3], "v_sub": [1, 2, 3]}
    assert lanes("neuron", neuron_record(CHIP), None) == {
        "used": [1, 1, 1],
        "fire": [1, 0, 1],
        "hard": [1, 0, 0],
        "soft": [0, 1, 0],
        "v_reset": [-4, -4, -4],
        "v_init": [1, 2, 3],
        "refractory": [0, 1, 63],
        "hold": [0, 1, 0],
    }
    assert lanes("bound", bound_record(CHIP), None) == {
        "bounded": [1, 1, 1],
        "low_add": [0, 0, 1],
        "v_low": [-9, -9, -9],
        "low_value": [-9, -7, 11],
    }
    assert LeakRounding.AT_LEAST_ONE == 2


def test_few_leak_terms_fit_a_chip_with_few() -> None:
    chip = CHIP.replace(leak_terms=1)
    image = pack(network(hidden={"leak_sign": [[0], [0], [-1]], "leak_shift": 5}), chip=chip)
    leak = unpack_lanes(leak_record(chip), 8, image.bits("leak"))
    assert (leak["on0"][0, 0], leak["negative0"][0, 0], leak["shift0"][0, 0]) == (1, 1, 5)


def test_rows_beyond_the_pages_are_zero() -> None:
    image = pack(network(), chip=CHIP)
    for name in ("leak", "fire"):
        assert image.bits(name)[0::2].any() and not image.bits(name)[1::2].any()


def test_pack_needs_a_chip() -> None:
    with pytest.raises(InputError, match="placement or chip of an image is missing: give one"):
        pack(network())
    assert isinstance(pack(network(), chip=CHIP).chip, Chip)
