"""cosim/flow/stages.py: a step is done again if what it was made of, or what it left, has changed."""

import json
from pathlib import Path

import pytest

from spikeloop.cosim.flow.stages import Stages


def test_stages_forget_nothing_that_matters(tmp_path: Path) -> None:
    """Kept only with the same inputs and the same output files; a step that fails is not remembered."""
    done: list[str] = []

    def run(inputs: object, text: str = "x") -> object:
        def work() -> str:
            (tmp_path / "file").write_text(text)
            done.append(text)
            return text.upper()

        return Stages(tmp_path, lambda _: None).run("step", {"in": inputs}, ["file"], work)

    assert [run(1), run(1), len(done)] == ["X", "X", 1]
    assert [run(2, "y"), len(done)] == ["Y", 2]
    (tmp_path / "file").write_text("edited")
    assert [run(2, "y"), len(done)] == ["Y", 3]
    (tmp_path / "file").unlink()
    assert [run(2, "y"), len(done)] == ["Y", 4]
    with pytest.raises(ZeroDivisionError):
        Stages(tmp_path, lambda _: None).run("bad", {}, [], lambda: 1 // 0)
    assert "bad" not in json.loads((tmp_path / "stages.json").read_text())
    (tmp_path / "stages.json").write_text("not json")
    assert [run(2, "z"), len(done)] == ["Z", 5]
