"""pysim/network: values are checked; the file returns what was saved and refuses all else."""

import json
import pickle
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from spikeloop.pysim.chip.params import PRESETS
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.tensors import decode
from spikeloop.pysim.network.elements import Edge, Input, Population, WeightFormat, weight_range
from spikeloop.pysim.network.graph import Network, start_ticks
from tests.campaigns.fuzz.mutate import flipped
from tests.make.networks import random_network
from tests.make.small import network


def assert_equal(a: Network, b: Network) -> None:
    for key in ("name", "inputs", "steps", "output", "membrane_bits", "readout", "metadata"):
        assert getattr(a, key) == getattr(b, key)
    assert [vars(p).keys() for p in a.populations] == [vars(p).keys() for p in b.populations]
    for p, q in zip(a.populations, b.populations, strict=True):
        for key, value in vars(p).items():
            np.testing.assert_array_equal(value, getattr(q, key), err_msg=key)
            assert not isinstance(value, np.ndarray) or value.dtype == getattr(q, key).dtype
    for e, f in zip(a.edges, b.edges, strict=True):
        assert (e.source, e.target, e.delay) == (f.source, f.target, f.delay)
        np.testing.assert_array_equal(e.weights, f.weights)


@given(st.integers(0, 2**32))
def test_round_trip(seed: int) -> None:
    chip = PRESETS["tiny"].replace(page_shift=2)
    net = random_network(np.random.default_rng(seed), chip).with_metadata(scale=0.5, note="ü")
    data = net.to_bytes()
    assert_equal(Network.from_bytes(data), net)
    assert Network.from_bytes(data).to_bytes() == data
    assert Network.from_bytes(data).sha256() == net.sha256()


@pytest.mark.parametrize(("page_shift", "version"), [(0, 1), (1, 2), (15, 2)])
def test_readers_of_version_1_refuse_what_they_would_not_see(page_shift: int, version: int) -> None:
    net = network(hidden={"pages": 2, "page_shift": page_shift})
    graph, _ = decode(net.to_bytes(), "spikeloop", "network")
    assert graph["version"] == version
    assert ("page_shift" in graph["populations"][0]) == (version == 2)


def test_file(tmp_path: Path) -> None:
    path = network().save(tmp_path / "deep" / "net.safetensors")
    assert_equal(Network.load(path), network())
    assert [p.name for p in path.parent.iterdir()] == [
        "net.safetensors"
    ]  # nothing temporary left behind


HOSTILE = {
    "empty": b"",
    "short": b"\x01\x02",
    "text": b"hello, this is no network at all",
    "pickle": pickle.dumps({"weights": [1, 2, 3]}),
    "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(2000),
    "zip": b"PK\x03\x04" + bytes(100),
    "huge header": struct.pack("<Q", 1 << 62) + b"{}",
    "no metadata": struct.pack("<Q", 2) + b"{}",
    "header of wrong type": struct.pack("<Q", 4) + b"[12]",
    "deep json": struct.pack("<Q", 100000) + b"[" * 100000,
    "not utf-8": struct.pack("<Q", 4) + b"\xff\xfe\xfd\xfc",
    "null": struct.pack("<Q", 4) + b"null",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_hostile_bytes(data: bytes) -> None:
    with pytest.raises(InputError, match="must be a safetensors file written by spikeloop"):
        Network.from_bytes(data)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"network file .* is missing: "):
        Network.load(tmp_path / "none")
    with pytest.raises(InputError, match="network file must be readable, not"):
        Network.load(tmp_path)


def test_every_truncation_is_refused() -> None:
    data = network().to_bytes()
    for length in range(len(data)):
        with pytest.raises(InputError):
            Network.from_bytes(data[:length])
    with pytest.raises(InputError):
        Network.from_bytes(data + b"\0")


def test_a_flipped_bit_is_refused(rng: np.random.Generator) -> None:
    """Each bit of the header's length, of its digest and of one tensor, and some of all others."""
    data = network().to_bytes()
    digest = data.index(b"sha256")
    bits = {
        *range(64),
        *range(8 * digest, 8 * digest + 640),
        *range(8 * len(data) - 400, 8 * len(data)),
    }
    for bit in bits | set(rng.integers(0, 8 * len(data), 1000).tolist()):
        with pytest.raises(InputError):
            Network.from_bytes(flipped(data, bit))


def test_a_file_without_a_digest_is_read_as_it_is() -> None:
    """Earlier versions wrote none; its entries are checked all the same."""
    old = _edited(lambda g: None)
    assert b"sha256" not in old
    assert_equal(Network.from_bytes(old), network())
    with pytest.raises(InputError, match=r"must have the entries of docs/formats.md, not 'sha257'"):
        Network.from_bytes(_edited(lambda g: g.update(sha257="")))


def test_a_graph_of_many_nodes_takes_time_in_proportion() -> None:
    """20,000 inputs, and a chain of 3,000 populations: both were quadratic."""
    began = time.process_time()
    many = network(
        inputs=(Input(name="x", size=3), *(Input(name=f"i{k}", size=1) for k in range(20_000)))
    )
    assert many.size_of("i19999") == 1
    names = [f"p{k}" for k in range(3000)]
    depth = start_ticks(names, [(s, t, 0) for s, t in zip(names, names[1:], strict=False)][::-1])
    assert depth["p2999"] == 2999
    assert time.process_time() - began < 10  # quadratic: minutes


def _edited(change: Any) -> bytes:
    """The small network's file with its graph edited, and without a digest."""
    graph, arrays = decode(network().to_bytes(), "spikeloop", "network")
    return save(arrays, metadata={"spikeloop": json.dumps(change(graph) or graph)})


EDITS = {
    "version": (lambda g: g.update(version=3), "must be of version 1 or 2, not 3"),
    "a list": (lambda g: [g], "must be of version 1 or 2"),
    "no steps": (lambda g: g.pop("steps") and None, "must be complete, not without 'steps'"),
    "steps as text": (lambda g: g.update(steps="8"), "steps must be in 1..65536, not '8'"),
    "steps as bool": (lambda g: g.update(steps=True), "steps must be in"),
    "format": (lambda g: g["populations"][0].update(weight_format="float"), "must be complete"),
    "name as number": (lambda g: g["inputs"][0].update(name=3), "must be an identifier"),
    "path as name": (lambda g: g["inputs"][0].update(name="../x"), "must be an identifier"),
    "one edge less": (lambda g: g["edges"].pop() and None, "must all belong to its graph"),
    "target": (
        lambda g: g["edges"][0].update(target="nobody"),
        "population must be one of hid, out, not 'nobody'",
    ),
    "source": (
        lambda g: g["edges"][0].update(source="nobody"),
        "edge source must be an input or a population",
    ),
    "size as text": (lambda g: g["inputs"][0].update(size="3"), "size of input 'x' must be in"),
    "page shift as text": (
        lambda g: g["populations"][0].update(page_shift="4"),
        "page_shift of population 'hid' must be in 0..15, not '4'",
    ),
    "populations null": (lambda g: g.update(populations=None), "must be complete"),
}


@pytest.mark.parametrize(("change", "message"), EDITS.values(), ids=EDITS)
def test_edited_graph(change: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Network.from_bytes(_edited(change))


def test_the_editor_edits_nothing_else() -> None:
    assert_equal(Network.from_bytes(_edited(lambda g: None)), network())


def edges(weight: int = 1, delay: int = 0) -> tuple[Edge, ...]:
    return (Edge(source="x", target="hid", weights=np.full((3, 3), weight, np.int32), delay=delay),)


BAD = {
    "weight too large": (
        lambda: network(edges=edges(8)),
        r"weights of edge x->hid must be in -8..7 \(4 bits, signed\), not 8",
    ),
    "weight too small": (lambda: network(edges=edges(-9)), "must be in -8..7 .* not -9"),
    "delay": (
        lambda: network(edges=edges(delay=17)),
        "delay of edge x->hid must be in 0..16, not 17",
    ),
    "weights of another shape": (
        lambda: network(
            edges=(Edge(source="x", target="out", weights=np.zeros((3, 3), np.int32)),)
        ),
        r"must be of shape \(3, 2\), not \(3, 3\)",
    ),
    "float weights": (
        lambda: network(edges=(Edge(source="x", target="hid", weights=np.zeros((3, 3))),)),
        "must be int32, not float64",
    ),
    "bias": (
        lambda: network(hidden={"bias": 2048}),
        "bias of population 'hid' must be in -2048..2047, not 2048",
    ),
    "threshold": (
        lambda: network(hidden={"v_th": [0, 0, -2049]}),
        "v_th .* must be in -2048..2047, not -2049",
    ),
    "shift": (lambda: network(hidden={"leak_shift": 13}), "leak_shift .* must be in 0..12, not 13"),
    "sign": (lambda: network(hidden={"leak_sign": 2}), "leak_sign .* must be in -1..1, not 2"),
    "refractory": (
        lambda: network(hidden={"refractory": 64}),
        "refractory .* must be in 0..63, not 64",
    ),
    "shape": (
        lambda: network(hidden={"bias": [1, 2]}),
        r"bias of population 'hid' must be of shape \(1, 3\), not \(2,\)",
    ),
    "real bias": (lambda: network(hidden={"bias": 0.5}), "must be integers, not float64"),
    "nan": (lambda: network(hidden={"v_th": float("nan")}), "must be integers"),
    "unknown parameter": (lambda: network(hidden={"tau": 1}), "must be one of .* not 'tau'"),
    "pages": (
        lambda: network(hidden={"pages": 65}),
        "pages of population 'hid' must be in 1..64, not 65",
    ),
    "page shift": (
        lambda: network(hidden={"page_shift": 16}),
        "page_shift of population 'hid' must be in 0..15, not 16",
    ),
    "start": (lambda: network(out={"start": 256}), "start .* must be in 0..255, not 256"),
    "physical delay 0": (
        lambda: network(out={"start": 0}),
        r"physical delay of edge hid->out .* must be in 1..16, not 0",
    ),
    "weight bits": (
        lambda: network(hidden={"weight_bits": 17}),
        "weight_bits .* must be in 1..16, not 17",
    ),
    "binary bits": (
        lambda: network(hidden={"weight_format": WeightFormat.BINARY}),
        "must be 1 for binary weights, not 4",
    ),
    "ternary bits": (
        lambda: network(hidden={"weight_format": WeightFormat.TERNARY}),
        "must be 2 for ternary weights, not 4",
    ),
    "membrane bits": (lambda: network(membrane_bits=33), "membrane_bits must be in 8..32, not 33"),
    "steps": (lambda: network(steps=0), "steps must be in 1..65536, not 0"),
    "readout": (
        lambda: network(readout="guess"),
        "readout must be 'spikes' or 'membrane', not 'guess'",
    ),
    "output": (lambda: network(output="x"), "population must be one of hid, out, not 'x'"),
    "no populations": (lambda: network(populations=()), "must have at least one population"),
    "twice the same name": (
        lambda: network(inputs=(Input(name="hid", size=3),)),
        "must be unique, not 'hid' twice",
    ),
}


@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD)
def test_bad_values(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_a_cycle_of_delay_0() -> None:
    both = [Population.make(name, 1, start=start) for name, start in (("a", 0), ("b", 1))]
    one = np.ones((1, 1), np.int32)
    with pytest.raises(InputError, match=r"physical delay|cycle"):
        Network(
            name="n",
            inputs=(),
            populations=tuple(both),
            output="b",
            steps=1,
            edges=(
                Edge(source="a", target="b", weights=one),
                Edge(source="b", target="a", weights=one),
            ),
        )


def test_start_ticks() -> None:
    links = [
        ("x", "a", 0),
        ("a", "b", 0),
        ("x", "c", 0),
        ("b", "c", 0),
        ("c", "a", 1),
        ("c", "d", 2),
    ]
    assert start_ticks("abcd", links) == {"a": 0, "b": 1, "c": 2, "d": 0}
    with pytest.raises(InputError, match="must not form a cycle"):
        start_ticks("ab", [("a", "b", 0), ("b", "a", 0)])


def test_ticks_and_delays() -> None:
    net = network(steps=5)
    assert net.ticks == 6
    assert [net.physical_delay(e) for e in net.edges] == [0, 1]
    assert [p.name for p in net.order()] == ["hid", "out"]


@pytest.mark.parametrize(
    ("form", "bits", "expected"),
    [
        (WeightFormat.SIGNED, 1, (-1, 0)),
        (WeightFormat.SIGNED, 16, (-32768, 32767)),
        (WeightFormat.BINARY, 1, (0, 1)),
        (WeightFormat.TERNARY, 2, (-1, 1)),
    ],
)
def test_weight_range(form: WeightFormat, bits: int, expected: tuple[int, int]) -> None:
    assert weight_range(form, bits) == expected


def chain(populations: int, name: str = "net") -> Network:
    names = ["x", *(f"p{i}" for i in range(populations))]
    return Network(
        name=name,
        inputs=(Input(name="x", size=2),),
        steps=1,
        output=names[-1],
        populations=tuple(Population.make(n, 2, start=i) for i, n in enumerate(names[1:])),
        edges=tuple(
            Edge(source=s, target=t, weights=np.ones((2, 2), np.int32))
            for s, t in zip(names, names[1:], strict=False)
        ),
    )


@pytest.mark.parametrize("populations", [1, 8, 9, 200])
def test_a_network_is_shown_in_20_lines(populations: int) -> None:
    lines = repr(chain(populations)).splitlines()
    assert lines[0].startswith(f"Network 'net': {2 * populations} neurons of 24 bits, ")
    assert len(lines) == min(2 * populations + 2, 19) and max(map(len, lines)) <= 100
    if populations > 8:
        assert lines[-1].split() == ["...", str(2 * populations + 1 - 17), "more"]


def test_a_network_is_a_table_in_notebooks() -> None:
    net = chain(1, name="<script>")
    page = net._repr_html_()
    assert "&lt;script&gt;" in page and "<script>" not in page
    assert page.count("<tr>") == 3 and "x -&gt; p0, dense, 2 x 2 weights, delay 0" in page


def test_parts_of_a_network_are_shown_in_a_line() -> None:
    net = chain(1)
    assert repr(net.populations[0]) == (
        "Population('p0', 2 neurons, start 0, signed weights of 8 bits, 1 pages)"
    )
    paged = Population.make("p", 2, pages=49, page_shift=4)
    assert repr(paged).endswith("signed weights of 8 bits, 49 pages of 16 steps)")
    assert repr(net.edges[0]) == "Edge(x -> p0, dense, 2 x 2 weights, delay 0)"
