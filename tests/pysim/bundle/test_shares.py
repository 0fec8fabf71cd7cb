"""pysim.bundle.shares and pysim.bundle.open: the folder of a mesh, and what is refused.

The folder of a program is tested in tests/pysim/mapping/test_partition.py.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeloop.pysim.bundle.mesh import MeshImage, map_mesh
from spikeloop.pysim.bundle.open import load_bundle, map_network
from spikeloop.pysim.bundle.program import Program
from spikeloop.pysim.chip.params import PRESETS, Chip
from spikeloop.pysim.chip.records import ROUTE_PACKET, pack_plain, route_record, unpack_plain
from spikeloop.pysim.common.bits import pack as pack_bits
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.model.mesh import MeshModel
from spikeloop.pysim.network.elements import Input
from spikeloop.pysim.network.summary import NetworkSummary
from tests.campaigns.regression.mesh.cases import mesh_case
from tests.make import small
from tests.make.small import spontaneous_network

CHIP = Chip(
    axons=130,
    columns=64,
    lanes=8,
    membrane_bits=10,
    pages=4,
    page_shift=2,
    chain=256,
    mesh_width=3,
    mesh_height=2,
)


def test_a_mesh_comes_back_as_it_was(tmp_path: Path, seed: int) -> None:
    for number in range(3):
        case = mesh_case(np.random.default_rng([seed, number]), CHIP)
        case.image.save(tmp_path / "mesh")  # an earlier one is replaced
        again = load_bundle(tmp_path / "mesh")
        assert isinstance(again, MeshImage)
        assert (again.chip, again.network, again.populations) == (
            case.image.chip,
            case.image.network,
            case.image.populations,
        )
        assert again.cores.keys() == case.image.cores.keys()
        for a, b in zip(case.image.cores.values(), again.cores.values(), strict=True):
            assert a.lines.keys() == b.lines.keys() and a.neurons.keys() == b.neurons.keys()
            assert all(
                np.array_equal(a.image.memories[n], b.image.memories[n]) for n in a.image.memories
            )
        for expected, got in zip(
            case.traces, MeshModel(again, "numpy").run(case.stimulus), strict=True
        ):
            for kind in ("spikes", "membranes", "counters"):
                assert all(
                    np.array_equal(array, getattr(got, kind)[name])
                    for name, array in getattr(expected, kind).items()
                )
    assert [p.name for p in tmp_path.iterdir()] == ["mesh"]


def test_bundles_have_the_same_verbs(rng: np.random.Generator, tmp_path: Path) -> None:
    """Image, program and mesh of one network: no caller asks which it is."""
    network = spontaneous_network(rng, 25, inputs=True)
    tiny = PRESETS["tiny"]
    bundles = [
        map_network(network, tiny.replace(axons=64, columns=512)),
        map_network(network, tiny),
        map_network(network, tiny.replace(mesh_width=3, mesh_height=2)),
    ]
    assert [bundle.kind for bundle in bundles] == ["image", "program", "mesh"]
    assert [len(bundle.images) for bundle in bundles] == [1, 6, 6]
    for bundle in bundles:
        assert bundle.network == NetworkSummary.of(network)
        assert (bundle.name, bundle.steps, bundle.ticks) == ("spontaneous", 6, 8)
        assert sum(bundle.cores_of().values()) == len(bundle.layers()) == len(bundle.images)
        folder = bundle.save(tmp_path / bundle.kind)
        for name, image in bundle.folders().items():
            again = Image.load(folder / name)
            assert all(np.array_equal(again.rows(m), rows) for m, rows in image.memories.items())
        assert (bundle.reason is None) == (bundle.kind == "image")
        neurons = {name: cores.size for name, cores in bundle.holders().items()}
        assert neurons == ({} if bundle.kind == "image" else dict.fromkeys(neurons, 25))
        for text in (repr(bundle), repr(load_bundle(folder))):
            assert len(text) < 400 and "spontaneous, 6 steps, 8 ticks" in text
        assert bundle._repr_html_().count("<tr>") == 4


def test_a_long_repr_is_cut_short(rng: np.random.Generator) -> None:
    network = spontaneous_network(rng, 4, inputs=True)
    image = map_network(network, PRESETS["tiny"])
    named = replace(image, network=replace(image.network, name="<b>" * 9))
    assert "&lt;b&gt;" in named._repr_html_() and "<b>" not in named._repr_html_()
    many = replace(image.network, inputs=tuple(Input(name=f"i{n}", size=1) for n in range(99)))
    assert len(repr(replace(image, network=many)).splitlines()) == 1
    assert "i7 1, ..." in repr(replace(image, network=many))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"steps": 0}, r"steps of the network of a file must be in 1\.\.65536, not 0"),
        ({"steps": None}, "steps of the network .* not None"),
        ({"membrane_bits": 64}, r"membrane_bits .* must be in 8\.\.32, not 64"),
        ({"name": 7}, "name of the network of a file must be text, not 7"),
        ({"readout": "vote"}, "readout .* must be spikes or membrane, not 'vote'"),
        ({"inputs": [["x"]]}, r"inputs .* must be \[name, size\] pairs"),
        ({"inputs": [["x", -1]]}, "size of input 'x' .* not -1"),
        ({"metadata": []}, r"metadata .* must be an object, not \[\]"),
        ({"luck": 1}, "must hold name, .*, not also 'luck'"),
    ],
)
def test_a_summary_is_checked(change: dict[str, Any], says: str) -> None:
    values = NetworkSummary.of(small.network()).to_dict()
    assert NetworkSummary.from_dict(values, "a file").to_dict() == values
    with pytest.raises(InputError, match=says):
        NetworkSummary.from_dict(values | change, "a file")


def test_the_chip_decides_what_a_network_becomes() -> None:
    network = small.network()
    assert isinstance(map_network(network, small.CHIP), Image)
    assert isinstance(map_network(network, small.CHIP.replace(columns=16)), Program | Image)
    mesh = map_network(network, small.CHIP.replace(mesh_width=2))
    assert isinstance(mesh, MeshImage)
    assert [set(core.neurons) for core in mesh.cores.values()] == [{"hid", "out"}]
    assert {name: set(cores) for name, cores in mesh.holders().items()} == {"hid": {0}, "out": {0}}


@pytest.fixture
def saved(tmp_path: Path, seed: int) -> Path:
    return mesh_case(np.random.default_rng(seed), CHIP).image.save(tmp_path / "mesh")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (
            lambda f: (f / "cores.safetensors").write_bytes(
                (f / "cores.safetensors").read_bytes()[:-8]
            ),
            "cores.safetensors of mesh .* is damaged: map the network again",
        ),
        (
            lambda f: (f / "cores.safetensors").unlink(),
            r"is damaged \(no cores\.safetensors\): map the network again",
        ),
        (
            lambda f: (f / "mesh.json").write_text(
                (f / "mesh.json").read_text().replace('"mesh_width": 3', '"mesh_width": 2')
            ),
            "not damaged or edited",
        ),
        (
            lambda f: next(f.glob("core*/manifest.json")).unlink(),
            r"image .* is missing \(no manifest\.json\)",
        ),
        (lambda f: next(f.glob("core*/core0/synapse.rows")).write_text("0"), "truncated"),
    ],
)
def test_damage_is_found(saved: Path, spoil, says: str) -> None:
    spoil(saved)
    with pytest.raises(InputError, match=says):
        load_bundle(saved)


@pytest.mark.parametrize(
    ("corner", "says"),
    [
        ((3, 0, 3, 0), "core must lie in the 3 x 2 mesh, not at x = 3, y = 0"),
        (
            (2, 1, 2, 1),
            "destination of spikes of core 0 in mesh .* must be a core with neurons, not core 5",
        ),
    ],
)
def test_a_destination_out_of_reach(tmp_path: Path, corner: tuple[int, ...], says: str) -> None:
    """Routes of a sound folder that name a core which is none."""
    network = small.network()
    shares: list[dict[str, np.ndarray]] = [{"hid": np.arange(3)}, {"out": np.arange(2)}]
    mesh = map_mesh(network, small.CHIP.replace(mesh_width=3, mesh_height=2), shares)
    record, image = route_record(mesh.chip), mesh.cores[0].image
    routes = unpack_plain(record, image.bits("routes"))
    for side, value in zip(("x0", "y0", "x1", "y1"), corner, strict=True):
        routes[side][routes["kind"] == ROUTE_PACKET] = value
    astray = replace(
        image, memories={**image.memories, "routes": pack_bits(pack_plain(record, routes))}
    )
    replace(mesh, cores={**mesh.cores, 0: replace(mesh.cores[0], image=astray)}).save(
        tmp_path / "mesh"
    )
    with pytest.raises(InputError, match=says):
        load_bundle(tmp_path / "mesh")


def test_names_of_inputs_that_mean_neurons_elsewhere() -> None:
    network = small.network()
    renamed = replace(
        network,
        inputs=tuple(replace(n, name=f"lines_{n.name}") for n in network.inputs),
        edges=tuple(
            replace(e, source=f"lines_{e.source}") if network.is_input(e.source) else e
            for e in network.edges
        ),
    )
    with pytest.raises(
        InputError,
        match="name of an input on a mesh must not begin with 'lines_', not be 'lines_x'",
    ):
        map_network(renamed, small.CHIP.replace(mesh_width=2))
