"""No stage of the walk is stale: after an edit of anything it is made from, it is done again.

The walk runs in a copy of the sources, each time in a process of its own.
"""

import inspect
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from spikeloop.cosim.flow.plan import Plan
from spikeloop.cosim.flow.sim import prepare
from spikeloop.cosim.provenance import sha256
from spikeloop.cosim.stages.kept import Stages
from spikeloop.golden.quantize.leak import round_half_away
from spikeloop.pysim.network.elements import Population
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.conftest import ROOT
from tests.make.images import write_images

STAGES = {
    "train": "float.safetensors",
    "quantize": "network.safetensors",
    "map": "image",
    "verilog": "rtl",
    "encode": "stimulus.npz",
}
"""Output of each stage, in their order."""

WALK = """
import json, sys
from pathlib import Path
from tests.cosim.stages.test_stale import walk
print(json.dumps(walk(Path(sys.argv[1]))))
"""

INVERTED = """
_upright = Stimulus.pack.__func__
def _inverted(cls, spikes, *more, **named):
    return _upright(cls, {name: 1 - array for name, array in spikes.items()}, *more, **named)
Stimulus.pack = classmethod(_inverted)
"""


def walk(folder: Path) -> list[str]:
    """Run the stages of a small walk in ``folder``/out; names of those whose output was kept."""
    stages = Stages(folder / "out", lambda _: None)
    plan = Plan(
        layers=(16, 10, 2),
        bits=4,
        chip="tiny",
        data=folder / "images",
        backends=("golden", "verilator"),
        epochs=1,
    )
    prepare(plan, stages, quiet=True)
    return stages.reused


def walk_of_its_own(tree: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", WALK, str(tree)],
        cwd=tree,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources in which the walk has been made once."""
    tree = tmp_path_factory.mktemp("tree")
    unneeded = shutil.ignore_patterns("__pycache__", "checkpoints", "docs")
    for name in ("spikeloop", "pysim", "golden", "hdl", "cosim", "tests"):
        shutil.copytree(ROOT / name, tree / name, symlinks=True, ignore=unneeded)
    (tree / "images").mkdir()
    write_images(tree / "images")
    assert walk_of_its_own(tree) == []
    assert walk_of_its_own(tree) == list(STAGES)
    return tree


@pytest.fixture
def tree(walked: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(walked, tmp_path / "tree", symlinks=True))


def source_of(thing: object) -> str:
    """The file of a class or function of ours, in the tree."""
    return str(Path(inspect.getsourcefile(thing)).resolve().relative_to(ROOT.resolve()))  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "edit", "redone", "kept"),
    [
        ("golden/nets/neurons.py", "ALPHA *= 2", {"train"}, {"verilog"}),
        ("golden/data/datasets.py", "", {"train", "quantize", "encode"}, {"map", "verilog"}),
        (
            source_of(round_half_away),
            "def round_half_away(x): return np.floor(x).astype(np.int64)",
            {"quantize", "map"},
            {"train", "verilog"},
        ),
        (source_of(Population), "", {"quantize", "map"}, {"train", "verilog"}),
        ("pysim/chip/records.py", "", {"map", "verilog"}, {"train", "quantize"}),
        ("pysim/pim/memories.py", "", {"map", "verilog"}, {"train", "quantize"}),
        ("hdl/neuron/fire.py", "", {"verilog"}, {"train", "quantize", "map", "encode"}),
        ("hdl/lib/ram.v", "", {"verilog"}, {"train", "quantize", "map", "encode"}),
        (source_of(Stimulus), INVERTED, {"encode"}, {"train", "quantize", "verilog"}),
        ("golden/data/encoders.py", "", {"train", "encode"}, {"map", "verilog"}),
    ],
)
def test_an_edit_has_every_stage_made_from_it_done_again(
    file: str, edit: str, redone: set[str], kept: set[str], tree: Path
) -> None:
    """``redone`` and ``kept`` at least; an edit without code is a comment."""
    before = {stage: sha256(tree / "out" / output) for stage, output in STAGES.items()}
    comment = "//" if file.endswith(".v") else "#"
    with (tree / file).open("a") as text:
        text.write(f"\n{edit or comment + ' edited'}\n")
    reused = set(walk_of_its_own(tree))
    assert not reused & redone
    assert kept <= reused
    if edit:
        stage = next(stage for stage in STAGES if stage in redone)
        assert sha256(tree / "out" / STAGES[stage]) != before[stage]


UNRELATED = (
    "cosim/cli/nets.py",
    "cosim/compare/diff.py",
    "cosim/flow/sim.py",
    "cosim/provenance.py",
    "cosim/runs/page.py",
    "pysim/model/core.py",
)


def test_an_edit_of_what_makes_none_of_them_redoes_nothing(tree: Path) -> None:
    for file in UNRELATED:
        with (tree / file).open("a") as text:
            text.write("\n# edited\n")
    assert walk_of_its_own(tree) == list(STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_a_damaged_output_is_made_again(stage: str, walked: Path, tmp_path: Path) -> None:
    shutil.copytree(walked / "images", tmp_path / "images")
    shutil.copytree(walked / "out", tmp_path / "out")
    output = tmp_path / "out" / STAGES[stage]
    whole = sha256(output)
    file = (
        max(output.rglob("*"), key=lambda path: path.stat().st_size) if output.is_dir() else output
    )
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    assert walk(tmp_path) == [other for other in STAGES if other != stage]
    assert sha256(output) == whole
