"""cosim/flow/evidence.py: what a difference leaves behind, and what is said of it."""

import json
import re
import shlex
from pathlib import Path

import pytest

from spikeloop.cosim.backend import Backend
from spikeloop.cosim.backends import Golden, Pysim
from spikeloop.cosim.cli import main
from spikeloop.cosim.compare.compare import Case, compare
from spikeloop.cosim.flow.evidence import keep_evidence
from spikeloop.cosim.runs.folder import SUMMARY
from spikeloop.pysim.traces.expected import Expected
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.cosim.compare.test_shrink import broken
from tests.cosim.conftest import Small


def test_evidence_is_left_and_told(small: Small, tmp_path: Path) -> None:
    wrong = broken(small.network, 5, 3)

    class Waving(Golden):
        def waves(self, stimulus: Stimulus, path: Path) -> Path | None:
            path.with_suffix(".vcd").write_text(f"{stimulus.samples}")
            return path.with_suffix(".vcd")

    def opener(name: str) -> Backend:
        return Golden(small.network) if name == "golden" else Waving(wrong)

    result = compare(Case(small.network, small.stimulus), ["golden", "verilator"], opener)
    evidence = keep_evidence(
        Case(small.network, small.stimulus),
        result.first,
        opener,
        tmp_path,
        image=Path("my image"),
        network=Path("n.safetensors"),
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["difference.npz", "difference.vcd"]
    again = Stimulus.load(evidence.stimulus)
    assert compare(Case(small.network, again), ["golden", "verilator"], opener).different > 0
    text = str(evidence)
    assert f"first difference: {result.first}" in text
    assert "hidden1, neuron 3" in text
    assert (
        "spikeloop compare 'my image' --network n.safetensors "
        f"--stimulus {tmp_path}/difference.npz --backends golden,verilator" in text
    )


def test_a_difference_between_models_leaves_waves_of_the_rtl(small: Small, tmp_path: Path) -> None:
    """golden is wrong, pysim is not: the third backend shows what the chip does there."""
    wrong = broken(small.network, 5, 3)

    def opener(name: str) -> Backend:
        return Golden(wrong) if name == "golden" else Pysim(small.image)

    case = Case(small.network, small.stimulus)
    result = compare(case, ["golden", "pysim"], opener)
    evidence = keep_evidence(
        case,
        result.first,
        opener,
        tmp_path,
        image=small.folder / "image",
        network=small.folder / "network.safetensors",
        names=["golden", "pysim", "verilator"],
    )
    assert evidence.waves == tmp_path / "waves.vcd"
    assert f"waves: {tmp_path}/waves.vcd (gtkwave {tmp_path}/waves.gtkw)" in str(evidence)
    ticks = re.search(r"ticks (\d+) to (\d+)", evidence.waves.read_text())
    tick = evidence.minimal.difference.tick
    assert int(ticks.group(1)) <= tick <= int(ticks.group(2))


def test_spikes_that_are_not_as_expected_leave_their_sample(small: Small, tmp_path: Path) -> None:
    spikes = Golden(small.network).run(small.stimulus).spikes["output"].copy()
    spikes[4, 3, 0] ^= 2
    case = Case(small.network, small.stimulus, Expected({"output": spikes}))
    result = compare(case, ["golden", "pysim"], lambda name: Golden(small.network))
    files = {"image": small.folder / "image", "network": small.folder / "network.safetensors"}
    evidence = keep_evidence(case, result.first, None, tmp_path, **files)
    assert evidence.minimal.difference.sample == 0 and "there sample 0, tick 4" in str(evidence)
    with pytest.raises(SystemExit) as end:  # the command shows it again
        main(shlex.split(evidence.command)[1:])
    assert end.value.code == 1
    summary = json.loads((tmp_path / "again" / SUMMARY).read_text())
    assert summary["different"] == 2 and summary["pairs"][-1]["first"]["neuron"] == 1
