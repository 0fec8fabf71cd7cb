"""Real targets: refusals, a bitstream of a small preset, and its netlist on real images."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikeloop.cosim.backends import open_backend
from spikeloop.cosim.board import fpga
from spikeloop.cosim.board.figures import kept, on_board
from spikeloop.cosim.board.link import Board
from spikeloop.cosim.board.session import Session
from spikeloop.cosim.board.virtual import BoardModel, Wire
from spikeloop.cosim.cli import main
from spikeloop.cosim.compare.compare import Case, compare
from spikeloop.pysim.chip.params import preset
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.network.elements import Edge, Input, Population
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.campaigns.regression.states import APART
from tests.conftest import ROOT

SMALL = preset("hx8k").replace(
    axons=49, columns=10, lanes=1
)  # what digits() needs: synthesis takes two thirds of the preset's time
PREAMBLES = {
    "ulx3s-85f": b"\xff\xff\xbd\xb3",
    "hx8k": b"\x7e\xaa\x99\x7e",
    "tang-primer-20k": b"1010010111000011",  # in a text of bits
}  # of a bitstream of the family


def digits(samples: int) -> tuple[Network, Stimulus]:
    """Real MNIST images as 7 x 7 means of 4 x 4 pixels; brighter pixels spike earlier.

    Ten neurons have binary weights: 1 where the class's mean image is brighter than that of all.
    """
    from spikeloop.golden.data.datasets import load_mnist

    data = load_mnist(None)
    small = {
        name: np.asarray(images, np.float64)
        .reshape(-1, 7, 4, 7, 4)
        .mean(axis=(2, 4))
        .reshape(-1, 49)
        for name, images in (("train", data.train_images), ("test", data.test_images))
    }
    labels = np.asarray(data.train_labels)
    means = np.stack([small["train"][labels == digit].mean(axis=0) for digit in range(10)])
    network = Network(
        name="digits",
        inputs=(Input(name="pixels", size=49),),
        steps=4,
        output="digit",
        populations=(Population.make("digit", 10, weight_bits=1, weight_format=1, v_th=14),),
        edges=(
            Edge(
                source="pixels",
                target="digit",
                weights=(means > means.mean(axis=0)).T.astype(np.int32),
            ),
        ),
        membrane_bits=8,
    )
    scale = small["test"].max()
    level = np.minimum((small["test"][:samples] / scale * 8).astype(int), 4)
    spikes = np.stack([level >= 4 - step for step in range(4)], axis=1).astype(np.uint8)
    return network, Stimulus.pack(
        {"pixels": spikes}, np.asarray(data.test_labels)[:samples].astype(np.int64)
    )


@pytest.mark.slow
def test_the_netlist_after_synthesis_is_the_golden_on_real_images() -> None:
    """The cells are the vendor's models; the image is loaded through the link."""
    chip = APART["netlist"].chip  # one synthesis serves the tests of states too
    network, stimulus = digits(60)
    network = replace(network, membrane_bits=chip.membrane_bits)
    image = pack(network, chip=chip)
    model = BoardModel(image.chip, library=fpga.netlist_board(image.chip))

    def opener(name: str):
        return (
            Board(Session(Wire(model)), image)
            if name == "board"
            else open_backend(name, network, image)
        )

    result = compare(Case(network, stimulus), ["golden", "pysim", "board"], opener)
    assert result.failures() == []
    assert result.pairs[1].neuron_ticks == 60 * 4 * 10
    assert result.cycles_measured == result.cycles_predicted


@pytest.mark.slow
@pytest.mark.parametrize("target", PREAMBLES)
def test_a_bitstream_of_a_small_chip(target: str, tmp_path: Path) -> None:
    try:
        summary = fpga.build(target, SMALL, tmp_path)
    except InputError as error:
        if "is missing" not in str(error):
            raise
        pytest.skip(f"no bitstream: {error}")
    print(summary)
    assert PREAMBLES[target] in Path(summary["bitstream"]).read_bytes()
    assert summary["fmax_mhz"] >= summary["clock_mhz"]
    assert json.loads((tmp_path / "summary.json").read_text())["fingerprint"] == SMALL.fingerprint()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--target", "de10"], f"must be one of {', '.join(fpga.TARGETS)}, not 'de10'"),
        (["--chip", "tiny"], "chip for an FPGA must have clock_gates=false and sliced=false"),
    ],
)
def test_what_no_board_can_be_made_of(
    capfd: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["board", "build", *arguments])
    assert end.value.code == 2 and sentence in capfd.readouterr().err


def test_missing_tools_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path: None)
    with pytest.raises(InputError, match="nextpnr-ecp5 is missing"):
        fpga.build("ulx3s-85f", None, tmp_path)


@pytest.mark.parametrize("name", fpga.TARGETS)
def test_baud_rates_are_those_of_the_divisor(name: str) -> None:
    target = fpga.TARGETS[name]
    assert abs(target.clock / target.divisor / target.baud - 1) < 0.02
    chip = on_board(name).chip
    assert chip.derived.cores == 1 and not chip.clock_gates and not chip.sliced


def table(head: str) -> dict[str, list[str]]:
    """Rows of docs/board.md below the head line that begins so, by target."""
    text = (ROOT / "docs" / "board.md").read_text().partition(head)[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()[2:]]
    return {row[0].strip("`"): row[1:] for row in rows}


def test_the_page_has_the_figures_that_fit_prints() -> None:
    """Every row is of the chip that the board has today."""
    rows = table("| target | device |")
    assert set(rows) == set(kept()) == set(fpga.TARGETS)
    for name, row in kept().items():
        place = on_board(name)
        assert row.fingerprint == place.chip.fingerprint(), f"build {name} again"
        wanted = list(place.text().values())[1:-1]
        assert rows[name][1:4] == wanted
        fmax = f"{row.fmax_mhz:g} MHz" if row.fmax_mhz else "-"
        assert rows[name][4:6] == [fmax, f"{place.clock / 1e6:g}"]


def test_the_page_has_the_pins_of_amaranth_boards() -> None:
    rows = table("| target | board | clk |")
    assert set(rows) == set(fpga.TARGETS)
    for name, target in fpga.TARGETS.items():
        pins, (_, clock, uart, led, program) = target.pins(), rows[name]
        assert clock == f"{pins['clk']}, {target.clock / 1e6:g} MHz"
        assert (uart, led) == (f"{pins['rx']}, {pins['tx']}", pins["led"])
        assert program == (f"`{target.program} FILE`" if target.program else "-")


@pytest.mark.parametrize("name", fpga.TARGETS)
def test_the_clock_is_that_of_the_board(name: str) -> None:
    target = fpga.TARGETS[name]
    assert on_board(name).clock == target.clock == target.board().default_clk_frequency


def test_fit_takes_chip_and_clock_of_the_board(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    network, _ = digits(1)
    network.save(tmp_path / "network.safetensors")
    command = ["fit", str(tmp_path / "network.safetensors"), "--json"]
    with pytest.raises(SystemExit):
        main([*command, "--board", "tang-primer-20k"])
    there = json.loads(capfd.readouterr().out)
    assert there["mapped"]["clock_hz"] == 27_000_000
    assert there["board"]["logic"] == kept()["tang-primer-20k"].logic
    with pytest.raises(SystemExit) as end:
        main([*command, "--board", "hx8k", "--chip", "tiny"])
    assert end.value.code == 2 and "once, by --chip or by --board" in capfd.readouterr().err
