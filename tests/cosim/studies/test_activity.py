"""cosim.studies.activity: densities are as said; more activity never takes fewer cycles.

Nor does it ever take more than dense mode.
"""

from pathlib import Path

import numpy as np
import pytest

from spikeloop.cosim.studies.activity import mlp, spread, write
from spikeloop.pysim.bundle.program import compile_program
from spikeloop.pysim.chip.params import PRESETS
from spikeloop.pysim.cost.work import measure

DENSITIES = np.array([0, 0.1, 0.5, 1])


def test_the_mlp_from_silence_to_dense() -> None:
    network = mlp()
    stim = spread(network, DENSITIES, 2)
    active = stim.dense(network)["pixels"].mean(axis=2)
    np.testing.assert_allclose(
        active, np.repeat(DENSITIES, 2)[:, None].repeat(8, axis=1), atol=1 / 784
    )
    work = measure(compile_program(network, PRESETS["zou2021"]), stim)
    assert (np.diff(work.cycles[0][::2]) > 0).all() and (work.cycles < work.dense_cycles).all()
    assert work.sops[0, 0] == 0 and (work.slots[0][::2][1:] > 0).all()
    assert work.dense_cycles[0] == pytest.approx(
        work.dense_cycles[0, 0], rel=0.01
    )  # but for the spikes that leave


@pytest.mark.slow
def test_the_pictures_are_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = list(write(tmp_path, densities=DENSITIES, tries=1, images=2))
    assert [file.name for file in files] == ["activity.svg", "layers.svg"]
    assert all(file.read_text().startswith("<?xml") for file in files)
    assert "LeNet, four spikes, 225 cores: 0%" in capsys.readouterr().out
