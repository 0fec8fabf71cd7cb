"""The page of a run of neurons with second states: every state can be looked at, and a difference.

A chip model whose adaptations decay wrongly differs first in an adaptation. And of neurons with a
page shift: the threshold is that of the page.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeloop.cosim import backends
from spikeloop.cosim.cli import main
from spikeloop.golden.reference import integer
from spikeloop.pysim.network.elements import Edge, Input, Population, Reset, StateUse
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.cosim.runs.test_page import browser, page, point, tab
from tests.make import small

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


def reported(network: Network, stimulus: Stimulus, chip: str, *, compared: int) -> None:
    """A run of golden and pysim in the folder ``run``, and its page; status of ``compare``."""
    network.save("net.safetensors")
    stimulus.save("stimulus.npz")
    compare = "compare image --network net.safetensors --stimulus stimulus.npz --allow-silent"
    for line, status in (
        (f"map net.safetensors -o image --chip {chip}", 0),
        (f"{compare} --backends golden,pysim -o run", compared),
        ("report run", 0),
    ):
        with pytest.raises(SystemExit) as end:
            main(line.split())
        assert end.value.code == status


def test_every_state_is_shown_and_where_one_differs(
    page: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(backends.Pysim):
        def __init__(self, image) -> None:
            super().__init__(image)
            self.core.neurons.p["a_shift0"][:, 1] += 1

    monkeypatch.setattr(backends, "Pysim", Wrong)
    monkeypatch.chdir(tmp_path)
    network, stimulus = second(), Stimulus.pack({"x": np.ones((1, 12, 4), np.uint8)})
    reported(network, stimulus, "tiny,current_bits=16,adaptation_bits=12", compared=1)
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


def test_the_threshold_is_that_of_the_page(
    page: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    network = small.network(steps=6, hidden={"pages": 2, "page_shift": 1, "v_th": [[5], [70]]})
    stimulus = Stimulus.pack({"x": np.ones((1, 6, 3), np.uint8)})
    reported(network, stimulus, "tiny,membrane_bits=12,page_shift=1", compared=0)
    page.goto((tmp_path / "run/report.html").as_uri())
    tab(page, "samples")
    page.select_option("#population", "hid")
    for step, v_th in ((0, 5), (1, 5), (2, 70), (5, 70)):
        point(page, "membrane", step)
        assert f"threshold {v_th}" in page.inner_text("#readout"), step
