"""How answers are read, by option of ``compare``: accuracy, journal, resume, refusals."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikeloop.cosim.runs.folder import Run
from spikeloop.golden.reference import integer
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.cosim.cli.test_app import compare_arguments, folder, refused, spikeloop
from tests.cosim.conftest import Small

__all__ = ["folder"]


@pytest.mark.parametrize(
    "options", [(), ("--groups", 1), ("--readout", "membrane"), ("--readout", "max-membrane")]
)
def test_answers_by_option(
    small: Small, folder: Path, capfd: pytest.CaptureFixture[str], options: tuple[object, ...]
) -> None:
    """Accuracy, journal and resume follow the read-out; the values against golden's own."""
    trace = integer.run(small.network, small.stimulus.dense(small.network))
    spikes, membranes = trace.spikes["output"], trace.membranes["output"]
    values = {
        (): spikes.sum(1),
        ("--groups", 1): spikes.sum((1, 2))[:, None],
        ("--readout", "membrane"): membranes[:, -1],
        ("--readout", "max-membrane"): membranes.max(1),
    }[options]
    replace(small.stimulus, labels=values.argmax(1)).save(folder / "stimulus.npz")
    arguments = compare_arguments(folder, "golden,pysim", *options)
    status, out, _ = spikeloop(capfd, *arguments, "--json")
    assert status == 0
    assert json.loads(out)["accuracy_of"] == {"golden": 1.0, "pysim": 1.0}
    chunks = Run.load(folder / "difference")[0].chunks
    for backend in (0, 1):
        answers = np.concatenate([chunk.answers[backend] for chunk in chunks])
        assert answers.tolist() == values.argmax(1).tolist()
    assert spikeloop(capfd, *arguments, "--resume")[0] == 0
    if options:
        sentence = refused(capfd, folder, *compare_arguments(folder), "--resume")
        assert "must be of this run" in sentence


@pytest.mark.parametrize(
    "options, words",
    [
        (("--groups", 2), "groups of the 3 neurons of output 'output' must be equally large"),
        (("--groups", 4), "groups of the 3 neurons of output 'output' must be in 1..3, not 4"),
        (("--groups", 0), "must be in 1..3, not 0"),
        (("--groups", 1), "labels of the stimulus must be whole numbers in 0..0, the classes"),
        (("--readout", "vote"), "must be one of spikes, membrane, max-membrane, not 'vote'"),
        (("--readout", "membrane", "--no-membranes"), "must have the membranes"),
    ],
)
def test_readouts_that_do_not_fit(
    folder: Path, capfd: pytest.CaptureFixture[str], options: tuple[object, ...], words: str
) -> None:
    assert words in refused(capfd, folder, *compare_arguments(folder, "golden,pysim", *options))


NET = """
import snntorch as snn, torch
from torch import nn
torch.manual_seed(5)
net = nn.Sequential(nn.Linear(10, 20), snn.Leaky(0.5, threshold=3.0, init_hidden=True))
with torch.no_grad():
    for parameter in net.parameters():  # whole numbers: nothing is rounded
        parameter.copy_(torch.randint(-3, 4, parameter.shape))
"""


def test_a_population_code_that_was_imported(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Float, integer and chip: the answers of snnTorch's own population code."""
    pytest.importorskip(
        "snntorch", reason="package snntorch is not installed: pip install snntorch"
    )
    import runpy

    import torch

    (tmp_path / "net.py").write_text(NET)
    spikes = (np.random.default_rng(0).random((40, 8, 10)) < 0.5).astype(np.uint8)
    net, counts = runpy.run_path(str(tmp_path / "net.py"))["net"], 0
    for step in range(8):
        counts = counts + net(torch.as_tensor(spikes[:, step], dtype=torch.float32))
    labels = counts.reshape(40, 2, 10).sum(2).argmax(1).numpy()
    assert 0 < labels.sum() < 40
    Stimulus.pack({"input": spikes}, labels).save(tmp_path / "s.npz")
    source, image = f"{tmp_path}/net.py:net", tmp_path / "image"
    imports = ["import", "torch", source, "--steps", 8, "-o", image, "--groups"]
    assert "must be equally large, not 3 groups" in refused(capfd, tmp_path, *imports, 3)
    assert spikeloop(capfd, *imports, 2)[0] == 0
    arguments = ["compare", image, "--stimulus", tmp_path / "s.npz", "--backends", "golden,pysim"]
    status, out, _ = spikeloop(capfd, *arguments, "-o", tmp_path / "run", "--json")
    summary = json.loads(out)
    assert status == 0 and summary["answer"] == "most spikes of 2 groups of 10 neurons, summed"
    assert summary["accuracy"] == {"float": 1.0, "integer": 1.0, "rtl": None}
    more = ["--groups", 20, "-o", tmp_path / "each"]  # neurons 0 and 1 are hardly the first
    status, out, _err = spikeloop(capfd, *arguments, *more, "--json")
    assert status == 0 and json.loads(out)["accuracy"]["integer"] < 0.5
