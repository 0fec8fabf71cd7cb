"""Dense periods of the paper: the latency formula, networks, the first layer that does not fit."""

import json
import math
from fractions import Fraction

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from spikeloop.pysim.chip.params import PRESETS, Chip
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.mapping import published as zoo
from spikeloop.pysim.mapping.layers import network_layers, usable_columns
from spikeloop.pysim.mapping.patches import Layer
from spikeloop.pysim.mapping.periods import dense_periods, period_cycles
from spikeloop.pysim.mapping.place import place
from spikeloop.pysim.network.convolution import Conv
from spikeloop.pysim.network.elements import Edge, Input, Population, WeightFormat
from spikeloop.pysim.network.graph import Network

CHIP = PRESETS["zou2021"]


def conv_network(**changes: int) -> Network:
    """Image 2 x 12 x 12, recurrent ternary convolution, depthwise 2 x 2 pooling, dense read-out."""
    rng = np.random.default_rng(5)
    conv = Conv.make((2, 12, 12), 8, (3, 3), padding=(1, 1))
    pool = Conv.make(conv.target, 8, (2, 2), stride=(2, 2), groups=8)
    sizes = [math.prod(conv.target), math.prod(pool.target)]
    return Network(
        name="net",
        inputs=(Input(name="x", size=288),),
        steps=4,
        output="out",
        **changes,
        populations=(
            Population.make("out", 10, start=2, weight_bits=5),
            Population.make("pool", sizes[1], start=1, weight_bits=2),
            Population.make("conv", sizes[0], weight_bits=2, weight_format=WeightFormat.TERNARY),
        ),
        edges=(
            Edge(
                source="x",
                target="conv",
                weights=rng.integers(-1, 2, conv.weights_shape, np.int32),
                conv=conv,
            ),
            Edge(
                source="conv",
                target="conv",
                weights=rng.integers(-1, 2, (sizes[0],) * 2, np.int32),
                delay=1,
            ),
            Edge(
                source="conv",
                target="pool",
                weights=np.ones(pool.weights_shape, np.int32),
                conv=pool,
            ),
            Edge(
                source="pool", target="out", weights=rng.integers(-16, 16, (sizes[1], 10), np.int32)
            ),
        ),
    )


def test_a_period_of_the_paper_has_13824_cycles() -> None:
    assert period_cycles(CHIP) == 13824
    assert dense_periods(zoo.layers("zou-lenet-1"), CHIP).rows[0].latency_ms == pytest.approx(
        13824 / 252e3
    )


@pytest.mark.parametrize("name", zoo.NAMES)
def test_latency_is_whole_periods_of_64_cores(name: str) -> None:
    result = dense_periods(zoo.layers(name), CHIP)
    assert result.lacks is None
    for row in result.rows:
        assert Fraction(row.latency_ms).limit_denominator(10**6) == Fraction(
            -(-row.cores // 64) * 13824, 252000
        )
        assert 64 * (row.periods - 1) < row.cores <= 64 * row.periods
    inside = [row for row in result.rows if row.on_chip]
    assert len(inside) == len(result.rows) - 1
    assert result.totals.cores == sum(row.cores for row in inside)
    assert result.totals.latency_ms == pytest.approx(sum(row.latency_ms for row in inside))
    assert result.totals.fps == pytest.approx(1000 / result.totals.latency_ms)
    assert result.totals.ticks == len(inside)  # every layer takes one step


def test_a_network_is_mapped_population_by_population() -> None:
    net = conv_network()
    result = dense_periods(net, CHIP)
    assert result.lacks is None
    assert [row.name for row in result.rows] == ["conv", "pool", "out"]
    for row, layer in zip(result.rows, network_layers(net, CHIP), strict=True):
        # the lines of a core, from the edges themselves
        w, h, c = row.patch_out
        index = np.arange(net.size_of(row.name)).reshape(layer.target)
        lines = 0
        for edge in net.edges:
            if edge.target == row.name:
                lines += max(
                    edge.lines(index[:c, y : y + h, x : x + w].reshape(-1)).size
                    for y in range(0, layer.target[1], h)
                    for x in range(0, layer.target[2], w)
                )
        assert lines <= row.axons <= CHIP.axons * row.f
        assert lines == row.axons or row.name == "conv"  # whose tiles all touch the padding
    conv, pool, out = result.rows
    assert len(conv.patches_in) == 2 and conv.patches_in[1] == (
        12,
        12,
        8,
    )  # recurrent: all lines of the map
    assert pool.columns == math.prod(pool.patch_out) * 2 * pool.f
    assert (out.patch_in, out.patch_out, out.columns) == ((6, 6, 8), (1, 1, 10), 50)
    assert {row.ticks for row in result.rows} == {4}
    assert result.totals.ticks == 6
    assert conv.latency_ms == pytest.approx(4 * conv.periods * 13824 / 252e3)


def test_the_report_is_json() -> None:
    document = json.loads(json.dumps(dense_periods(zoo.layers("zou-vgg-2"), CHIP).to_dict()))
    assert document["layers"][0]["patch_in"] == [4, 3, 64]
    assert set(document) == {"layers", "totals", "lacks"}


def test_the_first_resource_that_does_not_suffice() -> None:
    wide = Layer(name="wide", target=(1, 1, 1), sources=(Layer.dense((80000, 1, 1), (1, 1, 1)),))
    wider = Layer(name="wider", target=(1, 1, 1), sources=(Layer.dense((90000, 1, 1), (1, 1, 1)),))
    result = dense_periods(
        [*zoo.layers("zou-lenet-1")[:2], wide, wider, *zoo.layers("zou-lenet-1")[2:]], CHIP
    )
    assert len(result.rows) == 6  # those that fit are reported
    assert result.lacks and result.lacks.startswith(
        "fan-in of layer 'wide' must be at most 73,728 lines"
    )


@pytest.mark.parametrize(
    ("changes", "chip", "sentence"),
    [
        (
            {"membrane_bits": 16},
            CHIP,
            "membrane_bits of network 'net' must be 24 on this chip, not 16",
        ),
        (
            {},
            CHIP.replace(lanes=4),
            "weight_bits of population 'out' must be at most 4 (one word of 4 lanes of 1 bits) "
            "on this chip, not 5",
        ),
    ],
    ids=["membrane_bits", "word"],
)
def test_what_this_chip_cannot_do(changes: dict[str, int], chip: Chip, sentence: str) -> None:
    with pytest.raises(InputError) as error:
        dense_periods(conv_network(**changes), chip)
    assert str(error.value) == sentence


def test_a_weight_wider_than_a_word() -> None:
    result = dense_periods(zoo.layers("zou-lenet-1"), CHIP.replace(lanes=1))
    assert not result.rows and result.lacks == (
        "columns of a weight of layer '16C5' must be at most 1 on this chip (one word of 1 lanes), "
        "not 2: take fewer bits"
    )


def test_a_chip_without_axon_extension_holds_less() -> None:
    lacks = dense_periods(zoo.layers("zou-lenet-4"), CHIP.replace(extension=1)).lacks
    assert lacks and "1,152 lines (1,152 axons, extended 1 times), not 1,600" in lacks


@pytest.mark.parametrize(("name", "clock"), [("zou2021", 252e6), ("ulx3s-85f", 25e6)])
def test_latency_is_at_the_clock_of_the_preset(name: str, clock: float) -> None:
    chip = PRESETS[name]
    (row,) = dense_periods(zoo.layers("zou-lenet-1")[:1], chip).rows
    assert row.latency_ms == pytest.approx(row.periods * period_cycles(chip) / clock * 1e3)


@given(st.integers(1, 16), st.integers(1, 40), st.integers(1, 12), st.sampled_from([1, 2, 4]))
def test_usable_columns_are_those_that_the_placement_fills(
    bits: int, digits: int, lanes: int, digit_bits: int
) -> None:
    """As many neurons as usable_columns promises can be placed on one core, and not one more."""
    chip = Chip(axons=8, columns=digits * digit_bits, lanes=lanes, digit_bits=digit_bits)
    k_wei = -(-bits // digit_bits) * digit_bits
    most = usable_columns(chip, k_wei) // k_wei

    def placed(neurons: int) -> bool:
        try:
            place(
                Network(
                    name="net",
                    inputs=(Input(name="x", size=1),),
                    steps=1,
                    output="out",
                    populations=(Population.make("out", neurons, weight_bits=bits),),
                    edges=(
                        Edge(source="x", target="out", weights=np.zeros((1, neurons), np.int32)),
                    ),
                ),
                chip,
            )
        except InputError:
            return False
        return True

    assert most == 0 or placed(most)
    assert not placed(most + 1)


def test_a_population_without_edges_takes_no_axons() -> None:
    net = Network(
        name="net",
        inputs=(),
        steps=2,
        output="out",
        populations=(Population.make("out", 3, bias=1),),
        edges=(),
    )
    (row,) = dense_periods(net, CHIP).rows
    assert (row.patch_in, row.axons, row.f, row.cores) == ((0, 0, 0), 0, 1, 1)


@pytest.mark.parametrize("name", ["zou-lenet", "zou-lenet-3", "lenet-1", ""])
def test_an_unknown_name_is_told_the_names(name: str) -> None:
    with pytest.raises(
        InputError,
        match=r"one of zou-lenet-1, zou-lenet-2, zou-lenet-4, zou-vgg-1, zou-vgg-2, zou-vgg-4, not",
    ):
        zoo.layers(name)
