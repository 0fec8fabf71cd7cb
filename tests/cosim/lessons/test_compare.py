"""A lesson on several engines: equal, different, killed and resumed; its file; the command."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from spikeloop.cosim.lessons import engines
from spikeloop.cosim.lessons.compare import compare_lesson
from spikeloop.cosim.lessons.iris import run_iris
from spikeloop.pysim.common import tensors as files
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.lessons.file import encode
from spikeloop.pysim.lessons.lesson import Lesson
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.plastic import numba_engine
from tests.conftest import ROOT
from tests.cosim.conftest import small_network
from tests.make.lessons.random import SIZES, random_lesson

ALL = ("golden", "pysim", "numpy", "verilator")


@pytest.fixture
def lesson(seed: int) -> Lesson:
    return random_lesson(np.random.default_rng([seed, 1]), SIZES["small"], presentations=8)


def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spikeloop.cosim.lessons.compare.CHUNK_TICKS", 60)


def test_all_engines_agree(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    small_chunks(monkeypatch)
    done = []
    result = compare_lesson(lesson, ALL, progress=done.append)
    assert result.equal and sum(done) == 8 and len(done) > 1
    want = numba_engine.run(lesson)
    assert result.crc == want.crc.tolist()
    assert np.array_equal(result.spikes, np.add.reduceat(want.s, lesson.first[:-1]))
    for pair in ("golden = pysim", "golden = numpy", "golden = verilator"):
        assert result.compared[pair]["v"] == want.v.size
        assert result.compared[pair]["updates"] == len(want.updates) > 0
    assert result.compared["pysim = verilator"]["cycles"] == lesson.ticks.sum()
    assert result.cycles["pysim"] == result.cycles["numpy"] == result.cycles["verilator"] > 0
    assert "0 different" in result.rows()["golden = verilator?"]


def test_the_first_difference_ends_it(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    small_chunks(monkeypatch)
    right = engines.open_engine

    def wrong(name: str, *arguments: object) -> engines.Engine:
        engine = right(name, *arguments)
        run = engine.run

        def changed(first: int, last: int, state: object) -> object:
            trace = run(first, last, state)
            if name == "numpy" and first > 0:
                trace.y[-1, -1] += 1
            return trace

        engine.run = changed
        return engine

    monkeypatch.setattr("spikeloop.cosim.lessons.compare.open_engine", wrong)
    result = compare_lesson(lesson, ("pysim", "numpy"))
    assert not result.equal and "neuron 4, y:" in result.first and "in numpy" in result.first
    assert sum(result.different["pysim = numpy"].values()) == 1
    assert len(result.crc) < 8


def test_a_comparison_goes_on_where_it_was_killed(
    lesson: Lesson, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_chunks(monkeypatch)
    kept, names = tmp_path / "kept.npz", ("pysim", "verilator")
    whole = compare_lesson(lesson, names)

    class Killed(Exception):
        pass

    def stop(done: int) -> None:
        stop.count += done
        if stop.count > 4:
            raise Killed

    stop.count = 0
    with pytest.raises(Killed):
        compare_lesson(lesson, names, kept=kept, progress=stop)
    done = []
    rest = compare_lesson(lesson, names, kept=kept, resume=True, progress=done.append)
    assert 0 < done[0] < 8 and sum(done) == 8
    assert rest.crc == whole.crc and rest.spikes == whole.spikes
    assert rest.compared == whole.compared and rest.cycles == whole.cycles
    with pytest.raises(InputError, match="must be of the same lesson, engines and sources"):
        compare_lesson(lesson, ("pysim", "numpy"), kept=kept, resume=True)
    kept.write_bytes(kept.read_bytes()[:100])
    with pytest.raises(InputError, match="is damaged: run without --resume"):
        compare_lesson(lesson, names, kept=kept, resume=True)


@pytest.mark.slow
def test_kill_9_and_resume_end_in_the_same_weights(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "spikeloop", "lesson", "iris", "--passes", "2", "--json", "-q"]
    command += ["--engine", "numpy,pysim", "-o", str(tmp_path / "killed")]
    place = {"cwd": ROOT, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    run = subprocess.Popen(command, **place)
    kept = tmp_path / "killed" / "learning.npz"
    while not kept.exists() and run.poll() is None:
        time.sleep(0.02)
    os.kill(run.pid, signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    done = subprocess.run([*command, "--resume"], check=True, **place)
    document = json.loads(done.stdout)
    want = run_iris(("numpy", "pysim"), passes=2)
    assert document["learning"]["last_crc"] == want.learning.crc[-1]
    assert document["learning"]["compared"] == want.learning.compared
    assert document["accuracy"] == want.accuracy


def test_iris_is_learnt_alike_by_all_engines(tmp_path: Path) -> None:
    run = run_iris(("golden", "pysim", "verilator"), passes=1, folder=tmp_path, limit=6)
    assert run.first is None
    learnt = run.learning.compared["golden = verilator"]
    assert learnt["v"] == 6 * 250 * 3 and learnt["updates"] == 48 * np.sum(run.learning.spikes)
    assert run.testing.compared["golden = verilator"]["v"] == 6 * 1000 * 3
    assert len(set(run.testing.crc)) == 1 and run.testing.crc[0] == run.learning.crc[-1]
    again = Lesson.load(tmp_path / "lesson.safetensors")
    assert numba_engine.run(again).crc.tolist() == run.learning.crc
    picture = (tmp_path / "iris.svg").read_text()
    assert picture.count("<image") == 6 and "virginica, after" in picture


# -- the file ----------------------------------------------------------------------------------


def test_a_lesson_is_the_same_from_its_file(lesson: Lesson, tmp_path: Path) -> None:
    read = Lesson.load(lesson.save(tmp_path / "x.safetensors"))
    assert encode(read) == encode(lesson)
    assert numba_engine.run(read).crc.tolist() == numba_engine.run(lesson).crc.tolist()


def test_a_wrong_file_is_refused(lesson: Lesson, tmp_path: Path) -> None:
    good = lesson.save(tmp_path / "good.safetensors")
    network = small_network().save(tmp_path / "network.safetensors")
    with pytest.raises(InputError, match="must be a lesson, not a network"):
        Lesson.load(network)
    with pytest.raises(InputError, match="network file"):
        Network.load(good)
    with pytest.raises(InputError, match=r"lesson file .* is missing"):
        Lesson.load(tmp_path / "nothing")
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(good.read_bytes()[:-5])
    with pytest.raises(InputError, match="must be a safetensors file written by spikeloop"):
        Lesson.load(bad)
    header, tensors = files.decode(good.read_bytes(), "spikeloop", "lesson")
    for old, new in (('"version": 1', '"version": 2'), ('"k_m"', '"q_m"')):
        text = json.dumps(header)
        assert old in text
        bad.write_bytes(
            files.encode(json.loads(text.replace(old, new)), tensors, "spikeloop", "lesson")
        )
        with pytest.raises(InputError, match=r"must be (of version 1, not 2|one of v_rest)"):
            Lesson.load(bad)
