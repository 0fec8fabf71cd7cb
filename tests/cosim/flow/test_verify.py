"""cosim/flow/verify.py: the one way of a comparison, for scripts and for commands."""

import json
from pathlib import Path

import pytest

from spikeloop.cosim import backends
from spikeloop.cosim.flow.verify import Comparison, Filing, Interrupted, verify
from spikeloop.cosim.runs.folder import SUMMARY, Run
from spikeloop.pysim.bundle.open import load_bundle
from spikeloop.pysim.common.bits import pack
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.expected import Expected
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace
from tests.cosim.conftest import Small, small_network

NAMES = ("golden", "pysim")


class Wrong(backends.Pysim):
    def __init__(self, image: Image) -> None:
        super().__init__(image)
        self.core.neurons.p["v_th"][:, 0] += 2


def test_a_script_gets_the_verdict(small: Small) -> None:
    steps: list[int] = []
    result = verify(small.network, small.image, small.stimulus, NAMES, progress=steps.append)
    assert result.equal and sum(steps) == result.samples == 6
    spikes = verify(small.network, small.image, small.stimulus, NAMES, membranes=False, workers=1)
    assert spikes.equal and not spikes.pairs[0].membranes_compared


def test_expected_spikes_are_compared_with_every_backend(small: Small) -> None:
    with backends.Golden(small.network) as golden:
        spikes = golden.run(small.stimulus).spikes["output"].copy()
    arguments = (small.network, small.image, small.stimulus, NAMES)
    assert verify(*arguments, expected=Expected({"output": spikes}, 0)).equal
    spikes[2, 3] ^= pack([0, 1, 0])
    result = verify(*arguments, expected=Expected({"output": spikes}, 0))
    assert [pair.different for pair in result.pairs] == [0, 1, 1]
    assert (result.first.sample, result.first.step, result.first.neuron) == (2, 3, 1)


def test_a_bundle_of_another_network_is_refused(small: Small) -> None:
    with pytest.raises(InputError, match="network must be the one image 'small' was packed from"):
        verify(small_network(v_th=6), small.image, small.stimulus, NAMES)


def test_a_difference_leaves_image_and_network_if_they_have_no_folder(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "Pysim", Wrong)
    told: list[str] = []
    comparison = Comparison(small.network, small.image, small.stimulus, NAMES)
    done = comparison.file(
        Filing(folder=tmp_path, page=True), tell=told.append, about=lambda result: {"mine": 1}
    )
    assert told == ["first difference: looking for a minimal stimulus ..."]
    assert done.evidence and str(tmp_path / "image") in done.evidence.command
    assert load_bundle(tmp_path / "image").network.sha256 == small.network.sha256()
    assert Network.load(tmp_path / "network.safetensors").sha256() == small.network.sha256()
    assert json.loads((tmp_path / SUMMARY).read_text()) == done.summary
    assert done.summary["mine"] == 1 and str(done.evidence) == done.summary["evidence"]
    assert (tmp_path / "report.html").is_file()


def test_an_interrupted_comparison_is_filed(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spikeloop.cosim.compare.compare.CHUNK_SAMPLES", 2)

    def stop(samples: int) -> None:
        raise KeyboardInterrupt

    comparison = Comparison(small.network, small.image, small.stimulus, NAMES)
    with pytest.raises(Interrupted) as ended:
        comparison.file(Filing(folder=tmp_path), progress=stop)
    summary = ended.value.verdict.summary
    assert (summary["samples"], summary["samples_of"], summary["complete"]) == (2, 6, False)
    assert Run.load(tmp_path)[1] == summary


def test_an_interrupt_before_the_first_chunk_leaves_nothing(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped(backends.Pysim):
        def run(self, stimulus: Stimulus, *, membranes: bool = True) -> Trace:
            raise KeyboardInterrupt

    monkeypatch.setattr(backends, "Pysim", Stopped)
    comparison = Comparison(small.network, small.image, small.stimulus, NAMES)
    with pytest.raises(KeyboardInterrupt) as ended:
        comparison.file(Filing(folder=tmp_path / "run"))
    assert not isinstance(ended.value, Interrupted) and not (tmp_path / "run").exists()


def test_sessions_are_whole_or_nothing(small: Small, tmp_path: Path) -> None:
    arguments = (small.network, small.image, small.stimulus)
    with pytest.raises(InputError, match="must hold board:PORT, not only golden, pysim"):
        Comparison(*arguments, NAMES, record=tmp_path / "session")
    comparison = Comparison(*arguments, ("golden", "replay:session"))
    with pytest.raises(InputError, match="must not record or replay a session"):
        comparison.file(Filing(folder=tmp_path, resume=True))
