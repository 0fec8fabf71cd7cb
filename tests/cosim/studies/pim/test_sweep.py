"""The PIM sweep: what a device draws, what the RTL is compared with, a journal that survives."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeloop.cosim.studies.pim import sweep as pim_sweep
from spikeloop.cosim.studies.pim.plot import draw, summary
from spikeloop.cosim.studies.pim.sweep import (
    STUDIES,
    TYPICAL,
    Point,
    device,
    measure,
    points,
    sweep,
)
from spikeloop.golden.data.datasets import Dataset
from spikeloop.golden.rules.qstdb.net import QstdbNet
from spikeloop.pysim.common.errors import InputError
from tests.make.qstdb_nets import MACRO, images, small


@pytest.fixture
def net() -> QstdbNet:
    return small(pim=MACRO)


@pytest.fixture
def data() -> Dataset:
    labels = np.arange(30) % 4
    return Dataset(
        source="random",
        train_images=images(40, 1),
        train_labels=np.zeros(40, np.int64),
        test_images=images(30, 2),
        test_labels=labels,
    )


def tables(net: QstdbNet, **point: Any) -> dict[str, Any]:
    return device(net, Point(**{"seed": 0, **point}), images(20)).pim.layer().__dict__


@pytest.mark.parametrize("study", STUDIES)
def test_only_one_thing_varies(net: QstdbNet, study: str) -> None:
    value = STUDIES[study][1][1] if study != "active_rows" else 8
    layer = tables(net, study=study, value=value)
    spread = TYPICAL if study in ("adc_bits", "active_rows") else {study: value}
    assert (layer["gain"] != 4096).any() == ("gain" in spread)
    assert (layer["offset"] != 0).any() == ("offset" in spread)
    assert (layer["sigma"] > 0) == ("noise" in spread)
    assert layer["params"].adc_bits == (value if study == "adc_bits" else 8)
    if value:
        other = tables(net, study=study, value=value, seed=1)
        assert any(
            np.any(layer[key] != other[key])
            for key in ("gain", "offset", "stuck0", "stuck1", "seed")
        )


def test_sizes_of_what_is_drawn(net: QstdbNet) -> None:
    many = [tables(net, study="stuck", value=1, seed=seed) for seed in range(200)]
    cells = (
        np.concatenate([np.ravel(m["stuck0"]) for m in many]),
        np.concatenate([np.ravel(m["stuck1"]) for m in many]),
    )
    assert not (cells[0] & cells[1]).any()
    assert all(0.003 < share.mean() < 0.007 for share in cells)
    gains = np.concatenate(
        [np.ravel(tables(net, study="gain", value=5, seed=seed)["gain"]) for seed in range(200)]
    )
    assert math.isclose(gains.std() / 4096, 0.05, rel_tol=0.1)
    offsets = np.concatenate(
        [np.ravel(tables(net, study="offset", value=2, seed=seed)["offset"]) for seed in range(200)]
    )
    assert math.isclose(offsets.std() / 16, 2, rel_tol=0.1)


def test_noise_is_as_wide_as_it_says(net: QstdbNet) -> None:
    """With 20-bit codes and a small range, codes of many streams spread by the noise alone."""
    from dataclasses import replace

    from spikeloop.golden.reference import pim

    layer = device(net, Point(study="noise", value=1, seed=0), images(20)).pim.layer()
    wide = replace(
        layer, shift=0, params=replace(layer.params, adc_bits=20), limit=layer.params.value_max
    )
    codes = pim.run(wide, np.repeat(images(1), 400, 0), np.arange(400)).codes
    assert math.isclose(
        codes.std(0).mean(), math.hypot(1, 12**-0.5), rel_tol=0.05
    )  # of the noise and of its rounding


def test_rtl_is_compared(net: QstdbNet, data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal on the device; not equal if a row of the macro sticks and golden does not know."""
    from spikeloop.cosim.macros.pim import PimModel

    made = device(net, Point(study="stuck", value=1, seed=3), images(20))
    result = measure(made, data, 30, 5)
    assert result["different"] == 0 and result["conversions"] == 5 * made.pim.layer().conversions

    load = PimModel.load

    def damaged(self: PimModel, layer: Any) -> None:
        from dataclasses import replace

        stuck = np.array(layer.stuck1)
        stuck[0, 0] = True
        load(self, replace(layer, stuck1=stuck, stuck0=layer.stuck0 & ~stuck))

    monkeypatch.setattr(PimModel, "load", damaged)
    assert measure(made, data, 30, 5)["different"] > 0


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Point]:
    """Stands in for the measurement, and lists what was measured."""
    calls: list[Any] = []

    def stand_in(net: QstdbNet, data: Dataset, images: int, rtl_images: int) -> dict[str, int]:
        calls.append(net)
        return {"right": len(calls), "conversions": 1, "different": 0}

    monkeypatch.setattr(pim_sweep, "measure", stand_in)
    return calls


def test_goes_on_after_any_end(
    net: QstdbNet, data: Dataset, tmp_path: Path, counted: list[Point]
) -> None:
    """A journal cut at any byte loses at most the line that was being written."""
    wanted, journal = points(2, ("gain", "noise")), tmp_path / "whole.jsonl"
    whole = sweep(net, data, wanted, journal, images=30, rtl_images=2)
    text = journal.read_bytes()
    assert len(counted) == len(wanted) and len(text.splitlines()) == 1 + len(wanted)
    for cut in (0, 1, 40, len(text) // 2, len(text) - 1, len(text)):
        broken = tmp_path / f"cut{cut}.jsonl"
        broken.write_bytes(text[:cut])
        lines = max(text[:cut].count(b"\n") - 1, 0)
        counted.clear()
        again = sweep(net, data, wanted, broken, images=30, rtl_images=2)
        assert len(counted) == len(wanted) - lines
        assert [{**r, "right": 0} for r in again] == [{**r, "right": 0} for r in whole]
        assert again[:lines] == whole[:lines]
        assert len(broken.read_bytes().splitlines()) == 1 + len(wanted)
    counted.clear()
    assert sweep(net, data, wanted, journal, images=30, rtl_images=2) == whole and not counted


def test_refused(net: QstdbNet, data: Dataset, tmp_path: Path, counted: list[Point]) -> None:
    journal = tmp_path / "journal.jsonl"
    sweep(net, data, points(1, ("gain",)), journal, images=30, rtl_images=2)
    for make, words in (
        (lambda: sweep(net, data, [], journal, images=20, rtl_images=2), "must be of this sweep"),
        (
            lambda: sweep(small(7, pim=MACRO), data, [], journal, images=30, rtl_images=2),
            "must be of this sweep",
        ),
        (lambda: sweep(small(), data, [], journal), "must have its first layer in a macro"),
        (lambda: sweep(net, data, [], journal, images=31), "images of a PIM sweep"),
        (lambda: points(1, ("gains",)), "study must be one of"),
        (lambda: points(0), "seeds"),
    ):
        with pytest.raises(InputError, match=words):
            make()
    journal.write_bytes(b"no journal\n")
    with pytest.raises(InputError, match="lines of JSON"):
        sweep(net, data, [], journal, images=30, rtl_images=2)


def test_summary_and_picture() -> None:
    found = [
        {"study": "gain", "value": value, "seed": seed, "right": right}
        for value, rights in ((0, (90, 92)), (1, (80, 86)))
        for seed, right in enumerate(rights)
    ]
    table = summary(found, 100)
    assert table == {"gain": {0: (91.0, math.sqrt(2), 2), 1: (83.0, math.sqrt(18), 2)}}
    assert json.loads(json.dumps(table))
    picture = draw(table, 100).decode()
    assert STUDIES["gain"][0] in picture and "2 devices a point, 100 test images" in picture


def test_command(
    net: QstdbNet,
    data: Dataset,
    tmp_path: Path,
    counted: list[Point],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """``spikeloop pim-sweep``: JSON, files and exit status; refusals in one sentence."""
    from spikeloop.cosim.cli import main
    from spikeloop.cosim.studies.pim import run as study

    net.metadata = {"dataset": {"source": "random"}}
    net.save(tmp_path / "net.safetensors")
    monkeypatch.setattr(study, "load_mnist", lambda folder: data)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(
                [
                    "pim-sweep",
                    "--net",
                    str(tmp_path / "net.safetensors"),
                    "--images",
                    "30",
                    "-o",
                    str(tmp_path / "out"),
                    "--json",
                    *arguments,
                ]
            )
        captured = capfd.readouterr()
        return int(str(end.value)), captured.out, captured.err

    status, out, err = run("--study", "gain,stuck", "--seeds", "2")
    assert status == 0, err
    document = json.loads(out)
    assert (
        status == 0
        and document["conversions"] == len(counted) == 22
        and set(document["accuracy"]) == {"gain", "stuck"}
    )
    assert (tmp_path / "out" / "pim-sweep.svg").is_file() and json.loads(
        (tmp_path / "out" / "pim-sweep.json").read_text()
    )["seeds"] == 2
    for arguments, words in (
        (("--study", "gains"), "study must be one of"),
        (("--images", "31"), "images of a PIM sweep"),
        (("--net", str(tmp_path / "none")), "is missing: "),
    ):
        status, out, err = run(*arguments)
        assert status == 2 and not out and words in err and "\n" not in err.strip()
