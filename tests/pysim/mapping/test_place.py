"""pysim/mapping/place.py: what goes where, what shares a word, and why a network does not fit."""

import ast
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from spikeloop.pysim.bundle.mesh import MeshImage, map_mesh
from spikeloop.pysim.bundle.program import Program, compile_program
from spikeloop.pysim.chip.params import PRESETS, Chip
from spikeloop.pysim.chip.records import ROUTE_LOCAL, ROUTE_NONE, ROUTE_OUT
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.mapping.features import Reason
from spikeloop.pysim.mapping.place import fits, place
from spikeloop.pysim.mapping.placement import Placement, describe
from spikeloop.pysim.network.elements import (
    Edge,
    Input,
    LeakRounding,
    LowBound,
    Population,
    WeightFormat,
)
from spikeloop.pysim.network.graph import Network
from tests.conftest import ROOT
from tests.make.networks import random_network
from tests.make.small import CHIP, network


def mlp(hidden: int = 100, bits: int = 8) -> Network:
    return Network(
        name="mlp",
        inputs=(Input(name="image", size=784),),
        steps=8,
        output="out",
        populations=(
            Population.make("hidden", hidden, weight_bits=bits),
            Population.make("out", 10, weight_bits=bits, start=1),
        ),
        edges=(
            Edge(source="image", target="hidden", weights=np.ones((784, hidden), np.int32)),
            Edge(source="hidden", target="out", weights=np.ones((hidden, 10), np.int32)),
        ),
    )


def test_mnist_on_the_papers_core() -> None:
    placement = place(mlp(), PRESETS["zou2021"])
    assert (placement.axons, placement.columns, len(placement.words)) == (884, 880, 11)
    assert [w.start for w in placement.words] == [0] * 10 + [1]
    assert {(w.last_digit, w.shift, w.offset, w.offset_shift) for w in placement.words} == {
        (7, 1, 1, 7)
    }
    hidden, out = placement.populations
    assert (hidden.route, hidden.first_axon, hidden.delay, out.route, out.first_axon) == (
        ROUTE_LOCAL,
        784,
        1,
        ROUTE_OUT,
        None,
    )
    assert hidden.neurons[:12].tolist() == [0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88]
    assert out.neurons[0] == 880
    assert describe(placement) == [
        {"layer": "image", "neurons": 0, "axons": 784, "columns": 0, "words": 0},
        {"layer": "hidden", "neurons": 100, "axons": 100, "columns": 800, "words": 10},
        {"layer": "out", "neurons": 10, "axons": 0, "columns": 80, "words": 1},
    ]


def test_populations_share_a_word_only_if_its_record_fits_both() -> None:
    chip = CHIP.replace(page_shift=1)

    def words(**second: Any) -> int:
        both = (
            Population.make("a", 2, weight_bits=2),
            Population.make("b", 2, **{"weight_bits": 2, **second}),
        )
        net = Network(
            name="n", inputs=(), populations=both, edges=(), steps=1, output="b", membrane_bits=12
        )
        return len(place(net, chip).words)

    assert words() == 1
    assert (
        words(weight_bits=3)
        == words(start=1)
        == words(pages=2)
        == words(page_shift=1)
        == words(weight_format=WeightFormat.TERNARY)
        == 2
    )
    assert words(weight_bits=1, weight_format=WeightFormat.BINARY) == 2


def test_populations_of_one_record_lie_side_by_side() -> None:
    three = tuple(
        Population.make(name, 3, weight_bits=bits) for name, bits in (("a", 2), ("b", 3), ("c", 2))
    )
    net = Network(
        name="n", inputs=(), populations=three, edges=(), steps=1, output="c", membrane_bits=12
    )
    a, b, c = place(net, CHIP).populations
    assert [p.neurons.tolist() for p in (a, b, c)] == [[0, 2, 4], [16, 19, 24], [6, 8, 10]]
    assert [p.route for p in (a, b, c)] == [ROUTE_NONE, ROUTE_NONE, ROUTE_OUT]


def test_ternary_takes_two_columns_of_equal_weight_or_one_wider_digit() -> None:
    net = network(
        hidden={"weight_format": WeightFormat.TERNARY, "weight_bits": 2},
        edges=(Edge(source="x", target="hid", weights=np.ones((3, 3), np.int32)),),
    )
    assert place(net, CHIP).words[0].shift == 0 and place(net, CHIP).words[0].offset_shift == 0
    wide = place(net, CHIP.replace(digit_bits=2)).words[0]
    assert (wide.join, wide.shift, wide.offset, wide.offset_shift) == (1, 1, 1, 1)


def test_an_input_has_a_group_of_axons_for_each_delay() -> None:
    edges = [("x", "hid", 0), ("x", "out", 0), ("y", "out", 3), ("y", "hid", 4), ("x", "out", 1)]
    net = network(
        inputs=(Input(name="x", size=1), Input(name="y", size=2), Input(name="unused", size=9)),
        edges=tuple(
            Edge(
                source=s,
                target=t,
                delay=d,
                weights=np.ones((1 if s == "x" else 2, 3 if t == "hid" else 2), np.int32),
            )
            for s, t, d in edges
        ),
    )
    groups = [(i.name, i.delay, i.first_axon, i.size) for i in place(net, CHIP).inputs]
    assert groups == [("x", 0, 0, 1), ("x", 1, 1, 1), ("x", 2, 2, 1), ("y", 4, 3, 2)]


def test_random_placements_are_sound(rng: np.random.Generator) -> None:
    digits = PRESETS["tiny"].replace(digit_bits=4, columns=256, lanes=24, page_shift=2)
    for chip in (PRESETS["tiny"], digits):
        for _ in range(30):
            net = random_network(rng, chip)
            placement = place(net, chip)
            lanes: list[int] = []
            for p in placement.populations:
                for n in p.neurons.tolist():
                    word = placement.words[n // chip.lanes]
                    lanes += range(n, n + word.join)
                    assert n // chip.lanes == (n + word.join - 1) // chip.lanes, (
                        "a neuron straddles a word"
                    )
                    assert n + word.join <= chip.derived.digits
                    pages = net.population(p.name).pages, net.population(p.name).page_shift
                    assert (word.start, word.last_page + 1, word.page_shift) == (p.start, *pages)
            assert (
                len(lanes) == len(set(lanes)) and len(lanes) * chip.digit_bits == placement.columns
            )
            axons = [
                a for i in placement.inputs for a in range(i.first_axon, i.first_axon + i.size)
            ]
            axons += [
                a
                for p in placement.populations
                if p.first_axon is not None
                for a in range(p.first_axon, p.first_axon + p.size)
            ]
            assert sorted(axons) == list(range(placement.axons))
            again = Placement.from_dict(chip, placement.to_dict())
            assert again.to_dict() == placement.to_dict()


def edge(source: str, target: str, delay: int = 0) -> Edge:
    size = {"x": 3, "hid": 3, "out": 2}
    return Edge(
        source=source,
        target=target,
        delay=delay,
        weights=np.zeros((size[source], size[target]), np.int32),
    )


REFUSED: dict[str, tuple[Any, Chip, str]] = {
    "axons": (
        lambda: mlp(400),
        PRESETS["zou2021"].replace(extension=1),
        r"axons of network 'mlp' must be at most 1152 .*, not 1184 \(image 784, hidden 400\)",
    ),
    "words with extension": (
        lambda: mlp(400),
        PRESETS["zou2021"],
        r"words of network 'mlp' must be at most 6 \(512 columns in words of 88 lanes, "
        r"with axon extension 2\) .*",
    ),
    "words": (
        lambda: mlp(130),
        PRESETS["zou2021"],
        r"words of network 'mlp' must be at most 12 \(1024 columns in words of 88 lanes\) .*, "
        r"not 14 \(1120 columns: .*\)",
    ),
    "width of a word": (
        lambda: network(hidden={"weight_bits": 16}),
        CHIP,
        r"weight_bits of population 'hid' must be at most 8 \(one word of 8 lanes of 1 bits\) "
        "on this chip, not 16",
    ),
    "digits": (
        lambda: network(
            inputs=(Input(name="x", size=8),),
            edges=(
                Edge(source="x", target="hid", weights=np.zeros((8, 3), np.int32)),
                edge("hid", "out"),
            ),
            hidden={"weight_bits": 8},
        ),
        CHIP.replace(columns=8, extension=2),
        "weight_bits of population 'hid' must be at most 4 .* axon extension 2.*, not 8",
    ),
    "outputs": (
        lambda: network(
            populations=(Population.make("out", 65537, weight_bits=1),), edges=(), inputs=()
        ),
        CHIP.replace(columns=1024),
        r"output population 'out' must have at most 65536 neurons \(16-bit addresses\), not 65537",
    ),
    "pages": (
        lambda: network(out={"pages": 4}),
        CHIP,
        "pages of population 'out' must be at most 2 on this chip, not 4",
    ),
    "page shift": (
        lambda: network(out={"page_shift": 4}),
        CHIP.replace(page_shift=3),
        "page_shift of population 'out' must be at most 3 on this chip, not 4: "
        "choose a chip with page_shift=4",
    ),
    "membrane": (
        network,
        CHIP.replace(membrane_bits=16),
        "membrane_bits of network 'small' must be 16 on this chip, not 12",
    ),
    "delay": (
        lambda: network(edges=(edge("hid", "out", 3),)),
        CHIP,
        r"physical delay of the edges from population 'hid' must be at most 3 on this chip "
        r"\(delay_max\), not 4",
    ),
    "two delays": (
        lambda: network(edges=(edge("hid", "out"), edge("hid", "hid", 2))),
        CHIP,
        "edges from population 'hid' must all have one physical delay .*, not 1, 2: copy",
    ),
    "parallel edges": (
        lambda: network(edges=(edge("x", "hid"), edge("x", "hid"))),
        CHIP,
        "edges x->hid of delay 0 must be one .*, not 2",
    ),
    "leak terms": (
        lambda: network(hidden={"leak_sign": [[1], [-1], [0]]}),
        CHIP.replace(leak_terms=1),
        "leak terms of population 'hid' must be at most 1 on this chip, not 2",
    ),
    "refractory": (
        lambda: network(hidden={"refractory": [0, 4, 1]}),
        CHIP.replace(refractory_bits=2),
        "refractory of population 'hid' must be at most 3 on this chip .*, not 4",
    ),
    "no refractory": (
        lambda: network(hidden={"refractory": 1}),
        CHIP.replace(refractory_bits=0),
        "refractory .* must be at most 0 .*, not 1",
    ),
    "roundings": (
        lambda: network(
            hidden={"rounding": LeakRounding.AT_LEAST_ONE, "leak_sign": [[1], [0], [0]]}
        ),
        CHIP.replace(roundings=False),
        "rounding of population 'hid' must be floor on this chip .*, not at_least_one",
    ),
    "bounded": (
        lambda: network(hidden={"low": LowBound.RESET}),
        CHIP.replace(bounded=False),
        "lower bound of population 'hid' must be none on this chip .*, not reset",
    ),
}


MENDED_BY_MORE_CORES = ("axons", "words", "words with extension", "two delays", "outputs", "digits")


@pytest.mark.parametrize(("make", "chip", "message"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused(make: Any, chip: Chip, message: str) -> None:
    with pytest.raises(InputError, match=message):
        place(make(), chip)


@pytest.mark.parametrize("name", REFUSED)
def test_only_what_more_cores_mend_is_a_reason(name: str) -> None:
    make, chip, message = REFUSED[name]
    if name in MENDED_BY_MORE_CORES:
        reason = fits(make(), chip)
        assert isinstance(reason, Reason) and re.match(message, reason.sentence)
        program = compile_program(make(), chip)
        assert isinstance(program, Program) and program.reason == reason.sentence
    else:
        for refuses in (fits, compile_program, map_on_mesh):
            with pytest.raises(InputError, match=message):
                refuses(make(), chip)


def test_no_refusal_is_swallowed() -> None:
    """In pysim ``except InputError`` stands only where it is raised again as it is."""
    caught = [
        (path, handler)
        for path in (ROOT / "pysim").rglob("*.py")
        for handler in ast.walk(ast.parse(path.read_text()))
        if isinstance(handler, ast.ExceptHandler)
        and handler.type
        and "InputError" in ast.unparse(handler.type)
    ]
    for path, handler in caught:
        assert [ast.unparse(line) for line in handler.body] == ["raise"], (path, handler.lineno)


def map_on_mesh(network: Network, chip: Chip) -> MeshImage:
    return map_mesh(network, chip.replace(mesh_width=4, mesh_height=4))


def test_an_output_with_targets_keeps_its_local_route() -> None:
    net = network(
        edges=(edge("x", "out"), edge("out", "hid", 3)), hidden={"start": 0}, out={"start": 0}
    )
    assert place(net, CHIP).population("out").route == ROUTE_LOCAL


def test_what_is_off_needs_no_hardware() -> None:
    poor = CHIP.replace(leak_terms=0, refractory_bits=0, roundings=False, bounded=False)
    place(
        network(
            hidden={
                "rounding": LeakRounding.TOWARD_ZERO,
                "hold": True,
                "leak_shift": 3,
                "v_low": -5,
            }
        ),
        poor,
    )


def test_exact_fit() -> None:
    full = Network(
        name="n",
        inputs=(Input(name="x", size=8),),
        populations=(Population.make("a", 8, weight_bits=4),),
        steps=1,
        output="a",
        edges=(Edge(source="x", target="a", weights=np.ones((8, 8), np.int32)),),
        membrane_bits=12,
    )
    assert place(full, CHIP).columns == CHIP.columns
    with pytest.raises(InputError, match=r"must be at most 4 .*, not 5"):
        place(replace(full, populations=(Population.make("a", 9, weight_bits=4),), edges=()), CHIP)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.pop("words"),
        lambda d: d["words"][0].update(more=1),
        lambda d: d["inputs"][0].update(first_axon=7),
        lambda d: d["inputs"][0].update(first_axon="0"),
        lambda d: d["populations"][0].update(neurons=[0, 1]),
        lambda d: d["populations"][0].update(neurons=[0, 0, 4]),
        lambda d: d["populations"][0].update(neurons=[0, 4, 1 << 70]),
        lambda d: d["populations"][0].update(neurons=[-1, 4, 5]),
        lambda d: d["populations"][0].update(first_axon=6),
        lambda d: d.update(words=d["words"] * 9),
        lambda d: d.update(populations=[]),
    ],
)
def test_a_placement_outside_the_chip(change: Any) -> None:
    values = place(network(), CHIP).to_dict()
    change(values)
    with pytest.raises(InputError, match="placement of the image must lie on its chip"):
        Placement.from_dict(CHIP, values)


def test_population_by_name() -> None:
    placement = place(network(), CHIP)
    assert placement.population("out").size == 2
    with pytest.raises(InputError, match="population must be one of hid, out, not 'x'"):
        placement.population("x")
