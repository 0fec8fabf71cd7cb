"""`fit`, `map`, `cost` and the report give the same cores, use and latency of a net on a chip."""

import json
from pathlib import Path

import numpy as np
import pytest

from spikeloop.cosim.runs.folder import Run
from spikeloop.pysim.bundle.open import load_bundle
from spikeloop.pysim.bundle.program import Program
from spikeloop.pysim.chip.params import preset
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.model.core import Core
from spikeloop.pysim.network.elements import Edge, Input, Population
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.cosim.cli.test_app import spikeloop

FIGURES = ("cores", "cores_of", "reason", "use", "cycles", "clock_hz", "latency_ms")


def layered(*sizes: int, chip: str, bits: int = 4) -> Network:
    """Dense layers of random weights whose neurons spike in every step (lowest threshold)."""
    rng = np.random.default_rng(sizes)
    names = ["x", *(f"p{i}" for i in range(1, len(sizes)))]
    most = 1 << (bits - 1)
    lowest = -(1 << (preset(chip).membrane_bits - 1))
    return Network(
        name="layered",
        inputs=(Input(name="x", size=sizes[0]),),
        steps=3,
        output=names[-1],
        membrane_bits=preset(chip).membrane_bits,
        populations=tuple(
            Population.make(name, size, start=i, weight_bits=bits, v_th=lowest, v_sub=0)
            for i, (name, size) in enumerate(zip(names[1:], sizes[1:], strict=True))
        ),
        edges=tuple(
            Edge(source=s, target=t, weights=rng.integers(-most, most, (a, b), np.int32))
            for s, t, a, b in zip(names, names[1:], sizes, sizes[1:], strict=False)
        ),
    )


CASES = {  # net, chip, cores, axons x columns in use, clock
    "one core": ((784, 100, 10), "zou2021", 8, 1, 784 * 800 + 100 * 80, 252e6),
    "digits": ((784, 100, 10), "full", 4, 1, 784 * 400 + 100 * 40, 252e6),
    "extended": ((40, 6, 3), "tiny,extension=2", 2, 1, 40 * 12 + 6 * 6, 252e6),
    "board": ((60, 20, 5), "ulx3s-85f", 4, 1, 60 * 80 + 20 * 20, 25e6),
    "small board": ((8, 3), "hx8k", 2, 1, 8 * 6, 12e6),
    "parts": ((30, 20, 3), "tiny", 4, 3, 30 * 80 + 20 * 12, 252e6),
    "mesh": ((30, 20, 3), "tiny,mesh_width=2,mesh_height=2", 4, 3, 30 * 80 + 20 * 12, 252e6),
}


@pytest.mark.parametrize(
    ("sizes", "chip", "bits", "cores", "synapses", "clock"), CASES.values(), ids=CASES
)
def test_all_commands_give_the_same_figures(
    sizes: tuple[int, ...],
    chip: str,
    bits: int,
    cores: int,
    synapses: int,
    clock: float,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    network = layered(*sizes, chip=chip, bits=bits)
    file = network.save(tmp_path / "network.safetensors")
    every = np.ones((2, network.steps, sizes[0]), np.uint8)
    stimulus = Stimulus.pack({"x": every}).save(tmp_path / "stimulus.npz")
    image = tmp_path / "image"

    def document(*command: object) -> dict:
        status, out, err = spikeloop(capfd, *command, "--json")
        assert status == 0, err
        return json.loads(out)

    mapped = document("map", file, "--chip", chip, "-o", image)
    expected = {key: mapped[key] for key in FIGURES}
    fitted = document("fit", file, "--chip", chip)["mapped"]
    assert fitted == expected
    document(
        "compare",
        image,
        "--stimulus",
        stimulus,
        "--backends",
        "golden,pysim",
        "-o",
        tmp_path / "run",
    )
    run, _ = Run.load(tmp_path / "run")
    assert {key: run.head["figures"][key] for key in FIGURES} == expected
    document("report", tmp_path / "run")
    assert run.head["figures"]["text"]["latency"] in (tmp_path / "run" / "report.html").read_text()

    assert (expected["cores"], expected["clock_hz"]) == (cores, clock)
    assert expected["use"]["synapses"] == synapses
    target = preset(chip)
    assert expected["use"]["share"] == synapses / (cores * target.axons * target.columns)
    assert synapses == sum(core["synapses"] for core in run.head["cores"])
    bundle = load_bundle(image)
    if not isinstance(bundle, Image | Program):
        assert expected["cycles"] is None
        return
    assert expected["latency_ms"] == pytest.approx(expected["cycles"] / clock * 1e3)
    priced = document("cost", image, "--stimulus", stimulus)
    assert {key: priced[key] for key in FIGURES} == expected
    assert priced["constants"]["clock"] == clock
    one = next(p for p in priced["schedules"].values() if p["batch"] == 1)
    total = priced["total"]
    # Every line and every neuron spikes, so dense mode takes exactly the most.
    assert total["cycles"] <= total["dense_cycles"] == expected["cycles"]
    assert one["ms_per_sample"] == pytest.approx(one["total"] / 2 / clock * 1e3)
    if isinstance(bundle, Image):
        measured = Core(bundle).run(Stimulus.load(stimulus), dense=True).counters["cycles"]
        assert measured.sum(axis=1).tolist() == [expected["cycles"]] * 2


def test_the_table_says_why_there_are_parts(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = layered(30, 20, 3, chip="tiny").save(tmp_path / "network.safetensors")
    for command in (("fit", file), ("map", file, "-o", tmp_path / "image")):
        status, out, _ = spikeloop(capfd, *command, "--chip", "tiny")
        assert status == 0
        text = " ".join(out.split())
        assert "cores 3 parts, which take turns, because axons of network 'layered' must be" in text
        assert "at most 32 on this chip, not 50 (x 30, p1 20)" in text
