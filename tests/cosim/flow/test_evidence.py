"""cosim/flow/evidence.py: what a difference leaves behind, and what is said of it."""

from pathlib import Path

from spikeloop.cosim.backend import Backend
from spikeloop.cosim.backends import Golden
from spikeloop.cosim.compare.compare import Case, compare
from spikeloop.cosim.flow.evidence import keep_evidence
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
