"""The mapping search: the paper's tables cell by cell, and what every patch must hold."""

import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.mapping.patches import Layer, Patch, Reading, search
from spikeloop.pysim.network.convolution import Conv
from tests.conftest import SHARED
from tests.pysim.mapping import zou_tables as zou

A, C = 1152, 1024  # the paper's core


def conv_layer(conv: Conv, **changes: int) -> Layer:
    return Layer(name="conv", target=conv.target, sources=(conv,), **changes)


# -- the paper's tables ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reading", "why", "patches", "cores", "densities"),
    [(Reading.FEWEST, zou.WHY, 54, 46, 157), (Reading.WALK, zou.WHY_WALK, 53, 47, 154)],
    ids=lambda value: getattr(value, "value", ""),
)
def test_tables_7_to_10_cell_by_cell(
    reading: Reading,
    why: dict[tuple[str, int, int, str], str],
    patches: int,
    cores: int,
    densities: int,
) -> None:
    found = zou.counts(reading)
    print(
        reading.value,
        ", ".join(f"{group} {equal} of {every}" for group, (equal, every) in found.items()),
    )
    assert {cell.key for cell in zou.cells(reading) if cell.paper != cell.ours} == set(why)
    assert found == {
        "patches": (patches, 54),
        "cores": (cores, 48),
        "densities": (densities, 162),
        "latencies": (48, 48),
    }


@pytest.mark.parametrize("reading", Reading)
def test_totals_of_tables_9_and_10_and_frames_of_table_11(reading: Reading) -> None:
    cells = {(net, spikes): (paper, ours) for net, spikes, paper, ours in zou.totals(reading)}
    assert {
        key: (paper[0], ours[0]) for key, (paper, ours) in cells.items() if paper[0] != ours[0]
    } == {
        ("zou-lenet", 4): ("221", "224"),
        **({("zou-lenet", 1): ("52", "46")} if reading is Reading.FEWEST else {}),
    }
    assert [paper[1:] for paper, _ in cells.values()] == [ours[1:] for _, ours in cells.values()]


def test_table_11_is_consistent_with_its_energies() -> None:
    """No figure of ours: frames per second and watt are 1 / energy of one frame, cut."""
    assert [int(1000 / float(energy)) for _, _, energy, _ in zou.table(zou.TABLE_11)] == [
        int(r[3]) for r in zou.table(zou.TABLE_11)
    ]


@pytest.mark.parametrize(
    ("plan", "densities"),
    list(zip(zou.table(zou.TABLE_2), zou.table(zou.TABLE_3), strict=True)),
    ids=lambda row: row[0],
)
def test_tables_2_and_3_two_plans_for_one_layer(plan: list[str], densities: list[str]) -> None:
    conv = Conv.make((128, 4, 4), 256, (2, 2), stride=(2, 2))
    w, h, d, w_out, h_out, d_out, f, cores = map(int, plan[1:])
    patch = Patch(
        layer=conv_layer(conv),
        axons=A,
        columns=C,
        height=h_out,
        width=w_out,
        channels=d_out,
        extension=f,
    )
    ours = (patch.density_neuron, patch.density_axon, patch.density_synapse)
    assert [f"{zou.decimals(100 * value, 0)}%" for value in ours] == densities[1:]
    assert (sorted(patch.inputs[0][1:]), patch.inputs[0][0], patch.cores) == (
        sorted((w, h)),
        d,
        cores,
    )


def test_the_search_takes_the_better_plan_of_table_2() -> None:
    patch = search(
        conv_layer(Conv.make((128, 4, 4), 256, (2, 2), stride=(2, 2))), axons=A, columns=C
    )
    assert (sorted((patch.width, patch.height)), patch.channels, patch.extension, patch.cores) == (
        [1, 2],
        256,
        1,
        2,
    )


@pytest.mark.shared
def test_tables_are_transcribed_as_printed() -> None:
    (paper,) = (SHARED / "papers").glob("002_*.txt")
    text = paper.read_text().replace("^a", "").replace("^b", "").replace(" * ", "*")
    printed = {
        tuple(
            part.strip()
            for part in line.split("\t")
            if part.strip() not in ("MNIST", "CIFAR-10", "")
        )
        for line in text.splitlines()
        if "\t" in line
    }
    for table in (zou.TABLE_2, zou.TABLE_3, zou.TABLE_7, zou.TABLE_8, zou.TABLE_9, zou.TABLE_10):
        assert [row for row in zou.table(table) if tuple(row) not in printed] == []
    # Table 11 has an accuracy between model and frames
    shorter = {row[:1] + row[2:] for row in printed if len(row) == 5}
    assert [row for row in zou.table(zou.TABLE_11) if tuple(row) not in shorter] == []


def test_page_is_current() -> None:
    assert zou.PAGE.read_text() == zou.page(), "run python -m tests.pysim.mapping.zou_tables"


# -- every patch -------------------------------------------------------------------------------


@st.composite
def convolutions(draw: st.DrawFn) -> Conv:
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    sides = [draw(st.integers(k, k + 8)) for k in kernel]
    return Conv.make(
        (groups * draw(st.integers(1, 4)), sides[0], sides[1]),
        groups * draw(st.integers(1, 6)),
        kernel,
        groups=groups,
        stride=draw(st.tuples(st.integers(1, 3), st.integers(1, 3))),
        padding=(draw(st.integers(0, kernel[0] // 2)), draw(st.integers(0, kernel[1] // 2))),
    )


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    """A convolution, sometimes with a dense edge of a few lines beside it."""
    conv = draw(convolutions())
    more = (
        (Layer.dense((draw(st.integers(1, 9)), 1, 1), conv.target),) if draw(st.booleans()) else ()
    )
    return Layer(
        name="layer",
        target=conv.target,
        sources=(conv, *more),
        k_rep_in=draw(st.sampled_from([1, 2, 4])),
        k_rep_out=draw(st.sampled_from([1, 2, 4])),
        k_wei=draw(st.integers(1, 4)),
    )


CORES = st.tuples(st.integers(8, 200), st.integers(64, 1200))


def attempt(layer: Layer, core: tuple[int, int], reading: Reading) -> Patch | None:
    try:
        return search(layer, axons=core[0], columns=core[1], reading=reading)
    except InputError:
        return None


@given(layers(), CORES, st.sampled_from(Reading))
def test_tiles_cover_every_output_once_and_meet_eq_11(
    layer: Layer, core: tuple[int, int], reading: Reading
) -> None:
    patch = attempt(layer, core, reading)
    if patch is None:
        return
    f = patch.extension
    assert f in (1, 2, 4, 8, 16, 32, 64)
    times = np.zeros(layer.target, np.int64)
    index = np.arange(math.prod(layer.target)).reshape(layer.target)
    tiles = list(patch.tiles())
    for y0, y1, x0, x1, c0, c1 in tiles:
        assert (
            y0 < y1 <= layer.target[1] and x0 < x1 <= layer.target[2] and c0 < c1 <= layer.target[0]
        )
        times[c0:c1, y0:y1, x0:x1] += 1
        neurons = index[c0:c1, y0:y1, x0:x1].reshape(-1)
        # counted from the geometry itself, line by line
        lines = layer.sources[0].lines(neurons).size + sum(
            math.prod(dense.source) for dense in layer.sources[1:]
        )
        assert 0 < lines * layer.k_rep_in <= patch.lines <= core[0] * f
        assert 0 < neurons.size * f * layer.k_rep_out * layer.k_wei <= patch.columns_used <= core[1]
    assert (times == 1).all()
    assert len(tiles) == patch.cores
    assert f == 1 or patch.lines > core[0] * f // 2  # no smaller f would do
    assert 0 < patch.density_axon <= 1 and 0 < patch.density_neuron <= 1


@given(layers(), CORES, st.sampled_from(Reading))
def test_nothing_is_refused_that_fits(
    layer: Layer, core: tuple[int, int], reading: Reading
) -> None:
    """The smallest patch, one pixel of one channel, tried against Eq 11 for every f."""
    lines = layer.lines(1, 1, 1)
    fits = any(
        lines <= core[0] * f and f * layer.k_rep_out * layer.k_wei <= core[1]
        for f in (1, 2, 4, 8, 16, 32, 64)
    )
    assert fits == (attempt(layer, core, reading) is not None)


@given(layers(), CORES)
def test_channels_come_first(layer: Layer, core: tuple[int, int]) -> None:
    """Algorithm 1: unless all channels lie on one core the patch is one pixel.

    One channel more would not fit.
    """
    patch = attempt(layer, core, Reading.FEWEST)
    if patch and patch.channels < layer.target[0]:
        assert (patch.height, patch.width) == (1, 1)
        more = patch.channels + 1
        lines = layer.lines(1, 1, more)
        assert not any(
            lines <= core[0] * f and more * f * layer.k_rep_out * layer.k_wei <= core[1]
            for f in (1, 2, 4, 8, 16, 32, 64)
        )


@given(convolutions(), CORES)
def test_fewest_is_the_fewest(conv: Conv, core: tuple[int, int]) -> None:
    """No patch near a square, or as wide or high as the map, cuts the map into fewer by Eq 11."""
    layer = conv_layer(conv)
    patch = attempt(layer, core, Reading.FEWEST)
    if patch is None or patch.channels < conv.target[0]:
        return
    depth, rows, row = conv.target
    for h in range(1, rows + 1):
        for w in range(1, row + 1):
            near = abs(w - h) <= 2 or (h < w and h == rows) or (w < h and w == row)
            lines = layer.lines(h, w, depth)
            if near and any(
                lines <= core[0] * f and h * w * depth * f * layer.k_wei <= core[1]
                for f in (1, 2, 4, 8, 16, 32, 64)
            ):
                assert patch.across <= -(-rows // h) * -(-row // w)


@given(convolutions(), CORES)
def test_a_map_on_its_side_needs_as_many_cores(conv: Conv, core: tuple[int, int]) -> None:
    turned = Conv(
        source=(conv.source[0], conv.source[2], conv.source[1]),
        target=(conv.target[0], conv.target[2], conv.target[1]),
        kernel=conv.kernel[::-1],
        stride=conv.stride[::-1],
        padding=conv.padding[::-1],
        groups=conv.groups,
    )
    for reading in Reading:
        one, other = (
            attempt(conv_layer(conv), core, reading),
            attempt(conv_layer(turned), core, reading),
        )
        assert (one and one.cores) == (other and other.cores)


def test_a_row_of_pixels_is_cut_into_long_pieces() -> None:
    """The bound on |w' - h'| is not for a map of one row; the pieces are of one length."""
    patch = search(
        conv_layer(Conv.make((4, 1, 400), 4, (1, 3), padding=(0, 1))), axons=A, columns=C
    )
    assert (patch.height, patch.width, patch.cores) == (1, 100, 4)


def test_padding_brings_no_lines() -> None:
    """A 3 x 3 kernel on a map of one pixel has one pixel of fan-in."""
    layer = conv_layer(Conv.make((1000, 1, 1), 8, (3, 3), padding=(1, 1)))
    assert search(layer, axons=A, columns=C).inputs == ((1000, 1, 1),)


def test_the_largest_kernel_of_the_paper() -> None:
    """Section 3.1: 3 x 3 x 2,048 takes f = 16, four spikes of it f = 64."""
    conv = Conv.make((2048, 3, 3), 1, (3, 3))
    assert search(conv_layer(conv), axons=A, columns=C).extension == 16
    assert search(conv_layer(conv, k_rep_in=4), axons=A, columns=C).extension == 64


@pytest.mark.parametrize(
    ("conv", "changes", "sentence"),
    [
        (
            Conv.make((16384, 3, 3), 8, (3, 3)),
            {},
            r"fan-in of layer 'conv' must be at most 73,728 lines \(1,152 axons, "
            r"extended 64 times\), not 147,456 \(3 x 3 x 16384\): take",
        ),
        (
            Conv.make((2049, 3, 3), 1, (3, 3)),
            {"k_rep_in": 4},
            r"not 73,764 \(3 x 3 x 2049, 4 spikes each\)",
        ),
        (
            Conv.make((2048, 3, 3), 1, (3, 3)),
            {"k_rep_in": 4, "k_rep_out": 4, "k_wei": 8},
            r"columns of one neuron of layer 'conv' must be at most 1,024 on this chip, not 2,048 "
            r"\(axon extension 64 x 8 columns a weight x 4",
        ),
    ],
)
def test_a_layer_that_no_mapping_fits(conv: Conv, changes: dict[str, int], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        search(conv_layer(conv, **changes), axons=A, columns=C)
