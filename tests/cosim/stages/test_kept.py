"""cosim/stages/kept.py: a stage is redone if what it is made from, or left, has changed."""

import json
from pathlib import Path

import pytest

from spikeloop.cosim.provenance import DATA, modules
from spikeloop.cosim.stages.kept import Stages

STAGES = ("train", "quantize", "map", "verilog", "encode")

calls: list[str] = []


def make(*, output: Path, text: str, source: Path) -> str:
    output.write_text(text + source.read_text())
    calls.append(text)
    if text == "bad":
        raise ZeroDivisionError
    return text.upper()


make.__module__ = "spikeloop.pysim.common.errors"  # a key is that of a module of ours


def run(folder: Path, text: str) -> tuple[str, int]:
    """What the stage returned, and how often it was called in all."""
    stages = Stages(folder, lambda _: None)
    note = stages.run(make, "file", settings={"text": text}, inputs={"source": folder / "source"})
    return note, len(calls)


def test_stages_forget_nothing_that_matters(tmp_path: Path) -> None:
    """Kept only with the same settings, inputs and output; a stage that fails is not remembered."""
    calls.clear()
    (tmp_path / "source").write_text("1")
    assert run(tmp_path, "x") == ("X", 1)
    assert run(tmp_path, "x") == ("X", 1)
    assert run(tmp_path, "y") == ("Y", 2)
    (tmp_path / "source").write_text("2")
    assert run(tmp_path, "y") == ("Y", 3)
    (tmp_path / "file").write_text("edited")
    assert run(tmp_path, "y") == ("Y", 4)
    (tmp_path / "file").unlink()
    assert run(tmp_path, "y") == ("Y", 5)
    with pytest.raises(ZeroDivisionError):
        run(tmp_path, "bad")
    assert json.loads((tmp_path / "stages.json").read_text())["errors"]["note"] == "Y"
    assert run(tmp_path, "y") == ("Y", 7)
    for damaged in ("not json", "[]", '{"errors": 1}'):
        (tmp_path / "stages.json").write_text(damaged)
        before = len(calls)
        assert run(tmp_path, "y") == ("Y", before + 1)


@pytest.mark.parametrize("part", ["code", "foreign"])
def test_other_sources_or_packages_are_another_key(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls.clear()
    (tmp_path / "source").write_text("1")
    assert [run(tmp_path, "x"), run(tmp_path, "x")] == [("X", 1), ("X", 1)]
    monkeypatch.setattr(f"spikeloop.cosim.stages.kept.{part}", lambda module: f"other {module}")
    assert [run(tmp_path, "x"), run(tmp_path, "x")] == [("X", 2), ("X", 2)]


@pytest.mark.parametrize("stage", STAGES)
def test_no_stage_can_read_what_its_key_lacks(stage: str) -> None:
    """Its modules are imported by name, and files beside them are of a kind that counts."""
    for path in modules(f"spikeloop.cosim.stages.{stage}").values():
        text = path.read_text()
        assert "importlib.import_module" not in text and "__import__" not in text, path
        beside = {file.suffix for file in path.parent.iterdir() if file.is_file()}
        assert beside <= {".py", *DATA}, path.parent


@pytest.mark.parametrize("stage", STAGES)
def test_no_stage_depends_on_the_rest_of_cosim(stage: str) -> None:
    """Else every edit of a report or a command would train again."""
    sources = modules(f"spikeloop.cosim.stages.{stage}")
    ours = {name for name in sources if name.startswith("spikeloop.cosim.")}
    assert ours <= {f"spikeloop.cosim.stages{part}" for part in ("", ".images", f".{stage}")}


def test_a_stage_that_sees_more_than_its_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="more than its key"):
        Stages(tmp_path, lambda _: None).run(lambda output: None, "file", settings={}, inputs={})


def test_a_setting_that_is_not_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="JSON"):
        Stages(tmp_path, lambda _: None).run(make, "file", settings={"text": {1}}, inputs={})
