"""The walk of ``make sim``: train, quantise, map, generate, encode, compare, report.

    float.safetensors  network.safetensors  image/  rtl/  stimulus.npz
    journal.jsonl  summary.json  report.html

All files lie in one folder. A stage (cosim/stages) is done again only if something it is made from,
or what it left, has changed. Comparing is never skipped.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from spikeloop.cosim.backends import open_backend
from spikeloop.cosim.compare.compare import compare
from spikeloop.cosim.compare.result import CHIPS, Result
from spikeloop.cosim.compare.shrink import Evidence, keep_evidence
from spikeloop.cosim.flow.plan import Plan
from spikeloop.cosim.runs.folder import KEPT, Run
from spikeloop.cosim.runs.page import write as write_report
from spikeloop.cosim.stages import encode, map, quantize, train, verilog
from spikeloop.cosim.stages.images import Images
from spikeloop.cosim.stages.kept import Stages
from spikeloop.pysim.common.files import writable
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus

__all__ = ["Outcome", "Prepared", "prepare", "simulate"]


@dataclass
class Outcome:
    """What the walk found; ``summary`` is the content of summary.json."""

    result: Result
    evidence: Evidence | None
    summary: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Prepared:
    """What is compared, and the notes of the stages that made it, by stage."""

    network: Network
    image: Image
    stimulus: Stimulus
    notes: dict[str, Any]


def prepare(plan: Plan, stages: Stages, *, quiet: bool = False) -> Prepared:
    """Run the stages of a checked plan; Verilog only if one of the backends is a chip."""
    images, chip = Images(plan.data), plan.target
    float_net, network = stages.folder / "float.safetensors", stages.folder / "network.safetensors"
    notes = {
        "train": stages.run(
            train.make,
            float_net.name,
            settings=plan.training,
            inputs={"images": images},
            aside={"progress": not quiet},
        ),
        "quantize": stages.run(
            quantize.make,
            network.name,
            settings={
                "bits": plan.bits,
                "membrane_bits": chip.membrane_bits,
                "name": f"mnist_{plan.config.replace('-', '_')}",
            },
            inputs={"float_net": float_net, "images": images},
        ),
    }
    stages.run(map.make, "image", settings={"chip": chip.to_dict()}, inputs={"network": network})
    if any(is_chip(name) for name in plan.backends):
        stages.run(verilog.make, "rtl", settings={"chip": chip.to_dict()}, inputs={})
    notes["encode"] = stages.run(
        encode.make,
        "stimulus.npz",
        settings={"samples": plan.samples},
        inputs={"network": network, "float_net": float_net, "images": images},
    )
    return Prepared(
        Network.load(network),
        Image.load(stages.folder / "image", chip),
        Stimulus.load(stages.folder / "stimulus.npz"),
        notes,
    )


def is_chip(name: str) -> bool:
    return name.partition(":")[0] in CHIPS


def simulate(
    plan: Plan,
    *,
    tell: Callable[[str], None],
    progress: Callable[[int], None] | None = None,
    quiet: bool = False,
    started: Callable[[int], None] | None = None,
) -> Outcome:
    """Walk through all stages.

    ``tell`` is told in words what is being done; ``started`` gets the number of samples to
    compare, ``progress`` the samples compared since its last call.
    """
    begin = time.perf_counter()
    plan.check()
    folder = writable(plan.folder)
    stages = Stages(folder, tell)
    made = prepare(plan, stages, quiet=quiet)
    network, image, stimulus = made.network, made.image, made.stimulus

    def opener(name: str):
        return open_backend(name, network, image)

    for name in plan.backends:
        if is_chip(name):
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
        accuracy=known["accuracy"] | {"float": made.notes["encode"]["float"]},
        config=plan.config,
        bits=plan.bits,
        chip=plan.chip,
        encoder=plan.encoder,
        dataset=made.notes["train"]["dataset"]["source"],
        network_sha256=network.sha256(),
        quantize=made.notes["quantize"],
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
