"""A study on several engines: equal, different, killed and resumed; scores; the command."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikeloop.cosim.cli import main
from spikeloop.cosim.dendrites import study
from spikeloop.cosim.dendrites.engines import open_engine
from spikeloop.cosim.dendrites.score import score
from spikeloop.cosim.dendrites.study import Plan, Run, Task, prepare
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.dendrites.file import load
from spikeloop.pysim.dendrites.sounds import sounds

SMALL = np.random.default_rng(3).normal(-54, 12, (2, 4, 3, 8))


def status(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code


@pytest.fixture
def task() -> Task:
    return prepare(SMALL, Plan(2, passes=4, presentations=1, trials=1, neurons=3))


def walk(task: Task, *names: str, every: bool = False) -> Run:
    return Run(task, [open_engine(name, task.net, task.stimuli) for name in names], every)


def test_all_engines_learn_and_respond_alike(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "STEPS", 30)
    net = task.net.with_(warm_up=20, stat_shift=4)
    names = ("golden", "pysim", "numpy", "verilator")
    run = walk(replace(task, net=net), *names, every=True)
    state = run.train()
    responses = run.respond(state)
    run.engines[-1].close()
    assert run.first is None and responses.shape == (1, 6, 30, 3)
    assert 0 <= responses.min() < responses.max() <= 1
    shows = 4 * 2 + 6
    assert run.counters["steps"] == 30 * shows and run.counters["inputs"] > 20
    for pair in ("golden = pysim", "golden = numpy", "golden = verilator"):
        assert run.compared[pair] > 30 * shows * 40 and not run.different[pair]
    assert not np.array_equal(state.weights, task.state.weights)


def test_the_first_difference_ends_it(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "STEPS", 30)
    run = walk(task, "pysim", "numpy", every=True)
    right = run.engines[1].run

    def wrong(*arguments: object, **kind: object) -> object:
        trace = right(*arguments, **kind)
        trace.units[9, 8, 2] += 1
        return trace

    run.engines[1].run = wrong
    run.train()
    assert run.first.startswith("pass 0, mixture 0, step 9, neuron 2, v: ")
    assert run.different == {"pysim = numpy": 1} and run.counters["steps"] == 30


def test_a_training_goes_on_where_it_was_killed(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study, "KEPT", 1)
    whole = walk(task, "pysim").train()
    kept, short = tmp_path / "kept", replace(task, plan=replace(task.plan, passes=3))
    walk(short, "pysim").train(kept=kept)
    done = []
    rest = walk(task, "pysim")
    assert rest.train(kept=kept, resume=True, progress=done.append).same(whole)
    assert done == [3, 1] and rest.counters["steps"] == 4 * 2 * study.STEPS
    with pytest.raises(InputError, match="--passes must be at least the 4 that"):
        walk(short, "pysim").train(kept=kept, resume=True)
    with pytest.raises(InputError, match="must be of the same sounds, plan, backends and sources"):
        walk(task, "numpy").train(kept=kept, resume=True)
    kept.write_bytes(kept.read_bytes()[:500])
    with pytest.raises(InputError, match="must be a safetensors file written by spikeloop"):
        walk(task, "pysim").train(kept=kept, resume=True)


def by_pairs(right: np.ndarray, wrong: np.ndarray) -> float:
    """The area under the ROC curve as the share of pairs in the right order."""
    return float((np.sign(right[:, None] - wrong).mean() + 1) / 2)


def test_scores_are_areas() -> None:
    rng = np.random.default_rng(0)
    centres = np.array([[0.2, 0.8, 0.3], [0.7, 0.2, 0.3], [0.3, 0.7, 0.3], [0.6, 0.3, 0.3]])
    responses = centres[:, None] + rng.normal(0, 0.05, (2, 4, 90, 3))
    found = score(responses)
    assert found.correct.shape == found.incorrect.shape == (2, 2 * 40, 2)
    density = []
    for points in (found.correct, found.incorrect):
        each = [
            np.exp(-0.5 * np.einsum("...i,ij,...j", d, np.linalg.inv(c), d))
            / (2 * np.pi * np.sqrt(np.linalg.det(c)))
            for m, c in zip(found.means, found.covariances, strict=True)
            for d in [points.reshape(-1, 2) - m]
        ]
        density.append(np.log(np.mean(each, 0)))
    assert found.raw == pytest.approx(by_pairs(*density), abs=1e-3)
    levels = [np.searchsorted((-15, -5, 0), values) for values in density]
    assert found.auc == pytest.approx(by_pairs(*levels), abs=1e-3) and 0.5 < found.auc < 1
    assert found.likelihoods == pytest.approx([np.median(d) for d in density], abs=0.01)
    blind = score(np.concatenate([responses[:, :2]] * 2, 1))
    assert blind.auc == pytest.approx(0.5, abs=0.05)


def test_two_mixtures_are_separated_and_one_is_not() -> None:
    """A third of the paper's passes; docs/dendritic.md has all of them."""
    pytest.importorskip("numba", reason="numba is not installed: pip install -e '.[fast]'")
    areas = {}
    for mixtures in (1, 2):
        task = prepare(sounds(), Plan(mixtures, passes=1000, presentations=4, trials=5))
        run = walk(task, "pysim")
        areas[mixtures] = score(run.respond(run.train())).auc
    assert 0.4 < areas[1] < 0.6 and areas[2] > 0.85


def test_the_command_gives_a_document_a_net_and_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "sounds.npy", SMALL)
    folder = tmp_path / "out"
    command = ("dendritic", tmp_path / "sounds.npy", "--passes", 3, "--trials", 1, "--neurons", 3)
    assert status(*command, "--backend", "pysim,numpy", "-o", folder, "--json", "-q") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["different"] == {"pysim = numpy": 0} and 0 <= document["auc"] <= 1
    assert document["counters"]["cycles"] > document["counters"]["steps"] * 24
    assert "plane of responses" in Path(document["picture"]).read_text()
    net, stimuli, state = load(folder / "dendritic.safetensors")
    assert net.inputs == 24 and stimuli.shape == (8, 24) and state.age == 3 * 2 * 400


def test_figures_go_on_where_they_were_killed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("numba", reason="numba is not installed: pip install -e '.[fast]'")
    np.save(tmp_path / "sounds.npy", SMALL)
    command = ("dendritic", tmp_path / "sounds.npy", "--passes", 2, "--trials", 1, "--neurons", 3)
    command += ("--figures", "--mixtures", "1-2", "--seeds", "0", "-o", tmp_path, "--json", "-q")
    assert status(*command) == 0
    document = json.loads(capsys.readouterr().out)
    kinds = [(row["kind"], row["plan"]["mixtures"]) for row in document["points"]]
    assert kinds == [("integer", 1), ("float", 1), ("integer", 2), ("float", 2)]
    journal = tmp_path / "figures.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:3]) + lines[3][:20])  # killed within a line
    assert status(*command, "--resume") == 0
    assert json.loads(capsys.readouterr().out)["points"] == document["points"]
    assert "area under the ROC curve" in (tmp_path / "figures.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("nothing.npy",), "file of sounds 'nothing.npy' is missing"),
        (("own", "--mixtures", "0"), "mixtures of 50 sounds must be in 1..20, not 0"),
        (("own", "--mixtures", "21"), "mixtures of 50 sounds must be in 1..20, not 21"),
        (("own", "--mixtures", "1-2"), "--mixtures must be one number, not 2: add --figures"),
        (("own", "--neurons", "17"), "--neurons must be in 2..16, not 17"),
        (("own", "--backend", "pysim,icarus"), "backend must be one of golden"),
        (("own", "--figures", "--seeds", "x"), "--seeds must be numbers and ranges"),
    ],
)
def test_bad_input_is_one_sentence(
    arguments: tuple[str, ...], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("dendritic", *arguments, "-o", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1 and "Traceback" not in error
    assert not (tmp_path / "out").exists()
