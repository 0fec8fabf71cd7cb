"""The page of a run of neurons with second states: every state can be looked at, and a difference.

A chip model whose adaptations decay wrongly differs first in an adaptation.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeloop.cosim import backends
from spikeloop.cosim.cli import main
from spikeloop.golden.reference import integer
from spikeloop.pysim.chip.params import PRESETS
from spikeloop.pysim.network.elements import Edge, Input, Population, Reset, StateUse
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.cosim.runs.test_page import browser, page, point, tab

__all__ = ["browser", "page"]  # fixtures

DECAY = np.array([-1, 0, 0])[:, None]


def second() -> Network:
    """Four inputs, three neurons with a current and an adaptation."""
    weights = np.array([[9, 3, -4], [5, 8, 6], [-2, 7, 9], [4, 4, 4]], np.int32)
    neurons = Population.make(
        "hid",
        3,
        v_th=40,
        reset=Reset.SOFT,
        leak_sign=DECAY,
        leak_shift=3,
        current=StateUse.NEW,
        current_k0=True,
        current_sign=DECAY,
        current_shift=1,
        gain=2,
        fraction=2,
        adaptation=StateUse.OLD,
        adaptation_k0=True,
        adaptation_sign=DECAY,
        adaptation_shift=3,
        adaptation_step=60,
        adaptation_scale=2,
    )
    return Network(
        name="second",
        inputs=(Input(name="x", size=4),),
        populations=(neurons,),
        edges=(Edge(source="x", target="hid", weights=weights),),
        steps=12,
        output="hid",
        current_bits=16,
        adaptation_bits=12,
    )


def test_every_state_is_shown_and_where_one_differs(
    page: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(backends.Pysim):
        def __init__(self, image) -> None:
            super().__init__(image)
            self.core.neurons.p["a_shift0"][:, 1] += 1

    monkeypatch.setattr(backends, "Pysim", Wrong)
    network = second()
    stimulus = Stimulus.pack({"x": np.ones((1, 12, 4), np.uint8)})
    network.save(tmp_path / "net.safetensors")
    stimulus.save(tmp_path / "stimulus.npz")
    chip = PRESETS["tiny"].replace(current_bits=16, adaptation_bits=12)
    options = f"tiny,current_bits={chip.current_bits},adaptation_bits={chip.adaptation_bits}"
    monkeypatch.chdir(tmp_path)
    for line, status in (
        (f"map net.safetensors -o image --chip {options}", 0),
        (
            "compare image --network net.safetensors --stimulus stimulus.npz"
            " --backends golden,pysim -o run",
            1,
        ),
        ("report run", 0),
    ):
        with pytest.raises(SystemExit) as end:
            main(line.split())
        assert end.value.code == status
    truth = integer.run(network, stimulus.dense(network))
    wrong = np.flatnonzero(truth.spikes["hid"][0, :, 1])[0] + 1  # the step after the first spike
    page.goto((tmp_path / "run/report.html").as_uri())
    assert f"tick {wrong} " in page.inner_text("body") and "adaptation" in page.inner_text("body")
    tab(page, "samples")
    options = page.eval_on_selector_all("#state option", "all => all.map(one => one.value)")
    assert options == ["membranes", "synaptic", "adaptations"]
    page.select_option("#neuron", "1")
    for part in options:
        page.select_option("#state", part)
        assert page.eval_on_selector("#neuron", "one => one.value") == "1"
        for step in (0, wrong - 1):
            point(page, "membrane", step)
            value = getattr(truth, part)["hid"][0, step, 1]
            assert f"golden {value}" in page.inner_text("#readout")
    point(page, "membrane", wrong)
    right = truth.adaptations["hid"][0, wrong, 1]
    shown = page.inner_text("#readout")
    assert f"golden {right}" in shown and f"pysim {right}," not in f"{shown},"
