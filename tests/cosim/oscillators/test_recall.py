"""Recall on several engines: equal, different, killed and resumed; the command and its refusals."""

import json
from pathlib import Path

import numpy as np
import pytest

from spikeloop.cosim.cli import main
from spikeloop.cosim.macros.engines import Engine
from spikeloop.cosim.oscillators import recall as recalls
from spikeloop.cosim.oscillators.recall import Plan, recall
from spikeloop.cosim.oscillators.run import make_net
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.oscillators.net import OnnNet

PATTERNS = np.array([[1, -1, 1, -1, 1, -1, 1, -1, 1], [1, 1, 1, 1, -1, -1, -1, -1, 1]])


@pytest.fixture
def net() -> OnnNet:
    return make_net(PATTERNS, "phase")


def status(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code


def test_all_engines_recall_alike_in_every_step(net: OnnNet) -> None:
    done = []
    plan = Plan(PATTERNS, (0, 2), 4, every=True)
    found = recall(net, plan, ("golden", "pysim", "numpy", "verilator"), progress=done.append)
    assert found.first is None and sum(done) == 8
    steps = sum(row["steps"] for row in found.rows)
    for pair in ("golden = pysim", "golden = numpy", "golden = verilator"):
        assert found.compared[pair] > 40 * steps and not found.different[pair]
    assert found.rates()[0] == 1 and all(row["steady"] for row in found.rows)
    assert found.document()["cycles"] == sum(row["cycles"] for row in found.rows) == 12 * steps


def test_the_first_difference_ends_it(net: OnnNet, monkeypatch: pytest.MonkeyPatch) -> None:
    right = recalls.open_engine

    def wrong(name: str, *arguments: object) -> Engine:
        engine = right(name, *arguments)
        run = engine.run

        def changed(*a: object, **k: object) -> object:
            trace = run(*a, **k)
            if name == "numpy":
                trace.units[9, 0, 3] += 1
            return trace

        engine.run = changed
        return engine

    monkeypatch.setattr(recalls, "open_engine", wrong)
    found = recall(net, Plan(PATTERNS, (1,), 4, every=True), ("pysim", "numpy"))
    assert found.first.startswith("1 fuzzy pixels, sample 0, step 9, oscillator 3, phi: ")
    assert found.different == {"pysim = numpy": 1} and not found.rows
    assert found.document()["samples"] == 0


def test_a_recall_goes_on_where_it_was_killed(net: OnnNet, tmp_path: Path) -> None:
    plan, kept = Plan(PATTERNS, (0, 1, 3), 5), tmp_path / "recall.jsonl"
    names = ("pysim", "numpy")
    whole = recall(net, plan, names, kept=kept)
    lines = kept.read_text().splitlines(keepends=True)
    kept.write_text("".join(lines[:8]) + lines[8][:9])  # killed within a line
    done = []
    rest = recall(net, plan, names, kept=kept, resume=True, progress=done.append)
    assert done[0] == 7 and sum(done) == 15
    assert rest.rows == whole.rows and rest.compared == whole.compared
    assert kept.read_text().splitlines(keepends=True) == lines
    with pytest.raises(InputError, match="must be of this study"):
        recall(net, plan, ("numpy",), kept=kept, resume=True)
    kept.write_text("".join(lines[:4]) + "{}\n")
    with pytest.raises(InputError, match=r"line 5 of journal .* is damaged or was edited"):
        recall(net, plan, names, kept=kept, resume=True)


def test_the_command_gives_a_document_and_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "patterns.npy"
    np.save(file, PATTERNS.reshape(2, 3, 3))
    folder = tmp_path / "out"
    command = ("onn", file, "--backend", "pysim,numpy", "--fuzzy", "0,2-3", "--samples", 6)
    assert status(*command, "-o", folder, "--json", "-q") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["samples"] == 18 and set(document["recall"]) == {"0", "2", "3"}
    assert document["different"] == {"pysim = numpy": 0} and document["cycles"] > 0
    picture = Path(document["picture"]).read_text()
    assert "share recalled" in picture and "attractors, 3 fuzzy" in picture
    for count, ends in document["attractors"].items():
        assert np.shape(ends) == (2, 3) and np.allclose(np.sum(ends, 1), 1)
        right = [row[pattern] for pattern, row in enumerate(ends)]  # as many samples of each
        assert np.isclose(np.mean(right), document["recall"][count])
    assert document["attractors"]["0"] == [[1, 0, 0], [0, 1, 0]]
    assert OnnNet.load(folder / "net.safetensors").size == 9


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("nothing.npy",), "file of patterns 'nothing.npy' is missing"),
        (("digits", "--cell", "ring"), "cell must be one of relaxation, phase, not 'ring'"),
        (("digits", "--backend", "pysim,icarus"), "backend must be one of golden"),
        (("digits", "--fuzzy", "0,x"), "--fuzzy must be numbers and ranges"),
        (("digits", "--fuzzy", "61"), "--fuzzy must be in 0..60, not 61"),
        (("digits", "--cell", "relaxation", "--factor", "99"), "mean factor in 0.1..10"),
    ],
)
def test_bad_input_is_one_sentence(
    arguments: tuple[str, ...], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("onn", *arguments, "-o", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1 and "Traceback" not in error
    assert not (tmp_path / "out").exists()


def test_recalls_without_a_stable_period_are_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "patterns.npy"
    np.save(file, PATTERNS)
    command = ("onn", file, "--backend", "pysim", "--fuzzy", "0", "--samples", 2)
    assert status(*command, "--periods", 1, "-o", tmp_path / "out") == 2
    text = capsys.readouterr()
    assert "2, of which 2 without a stable period" in text.out
    assert "must come to a stable period in some recall; none of the 2 did" in text.err


def test_a_net_without_a_period_is_refused(tmp_path: Path) -> None:
    stuck = make_net(PATTERNS, "relaxation", periods=1).with_(v_high=(1 << 26) - 1)
    with pytest.raises(InputError, match="couplings must leave the oscillators a period: in"):
        recall(stuck, Plan(PATTERNS, (0,), 1), ("pysim",))
