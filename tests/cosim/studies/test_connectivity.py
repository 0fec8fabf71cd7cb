"""cosim.studies.connectivity: table and picture hold the nets' figures, densest first."""

import re
from pathlib import Path

import pytest

from spikeloop.cosim.flow.pretrained import load
from spikeloop.cosim.studies.connectivity import main, read, table
from spikeloop.golden.nets.files import CHECKPOINTS


@pytest.fixture
def nets(tmp_path: Path) -> list[Path]:
    """The kept net, and the same said to be three more."""
    network = load("grad-r-mnist").network
    said = {
        "sparse": {"rule": "grad-r", "connectivity": 0.0125},
        "deep": {"rule": "deep-r", "connectivity": 0.5},
        "deeper": {
            "rule": "deep-r",
            "connectivity": 0.7,
            "connectivity_integer": 0.6875,
            "accuracy_integer": 0.4321,
        },
    }
    for name, about in said.items():
        network.with_metadata(**about).save(tmp_path / f"{name}.safetensors")
    return [
        *(tmp_path / f"{name}.safetensors" for name in said),
        CHECKPOINTS / "grad-r-mnist.safetensors.gz",
    ]


def test_nets_are_listed_and_drawn(
    nets: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(
        "sys.argv", ["connectivity", *map(str, nets), "--out", str(tmp_path / "c.svg")]
    )
    main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[:-1] == table(read(nets)).splitlines() and len(lines) == 7
    assert lines[2] == "| Grad R | 0.05 | 2.65 | 97.31 | 2.58 | 97.25 |" and lines[3].startswith(
        "| Grad R | 0.05 | 1.25 |"
    )
    assert lines[4] == "| Deep R |  | 70.00 | 97.31 | 68.75 | 43.21 |" and lines[5].startswith(
        "| Deep R |  | 50.00 |"
    )
    picture = (tmp_path / "c.svg").read_text()
    assert all(
        f">{label}<" in picture
        for label in (
            "Grad R, here",
            "Deep R, here",
            "Deep R, Chen et al. 2021",
            "synapses left, %",
        )
    )
    whole = picture.count("<use")
    monkeypatch.setattr(
        "sys.argv", ["connectivity", str(nets[-1]), "--out", str(tmp_path / "one.svg")]
    )
    main()
    one = (tmp_path / "one.svg").read_text()
    assert "Deep R" not in one and one.count("<use") < whole


@pytest.mark.parametrize(
    "name, message",
    [
        ("bpsr-mnist", "must be trained by Grad R or Deep R, not by bpsr"),
        ("none", "is missing: train it"),
    ],
)
def test_other_files_are_refused(
    name: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(
        "sys.argv",
        [
            "connectivity",
            str(CHECKPOINTS / f"{name}.safetensors"),
            "--out",
            str(tmp_path / "c.svg"),
        ],
    )
    with pytest.raises(SystemExit) as stopped:
        main()
    assert (
        stopped.value.code == 2
        and re.search(message, capsys.readouterr().err)
        and not list(tmp_path.iterdir())
    )
