"""The walk of ``make sim``: train, quantise, map, generate, encode, compare, report.

    float.safetensors  network.safetensors  image/  rtl/  stimulus.npz
    journal.jsonl  summary.json  report.html

All files lie in one folder. A stage (cosim/stages) is done again only if something it is made from,
or what it left, has changed. Comparing is never skipped.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from spikeloop.cosim.compare.result import CHIPS, Result
from spikeloop.cosim.flow.plan import Plan
from spikeloop.cosim.flow.verify import Comparison, Filing, Verdict
from spikeloop.cosim.runs.lock import held
from spikeloop.cosim.stages import encode, map, quantize, train, verilog
from spikeloop.cosim.stages.images import Images
from spikeloop.cosim.stages.kept import Stages
from spikeloop.cosim.verilator.build import verilog_of
from spikeloop.pysim.common.files import writable
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus

__all__ = ["Prepared", "prepare", "simulate"]


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
    """Whether a backend measures cycles, so that it needs the RTL."""
    return name.partition(":")[0] in CHIPS


def simulate(
    plan: Plan,
    *,
    tell: Callable[[str], None],
    started: Callable[[int], None] = lambda samples: None,
    progress: Callable[[int], None] | None = None,
    quiet: bool = False,
    allow_silent: bool = False,
) -> Verdict:
    """Walk through all stages, compare, and write the page.

    tell:     is told in words what is being done
    started:  gets the number of samples to compare
    progress: ``progress(n)`` is called when n more samples are compared
    quiet:    no progress bar of the training
    allow_silent: a population that never spikes does not spoil the verdict
    """
    begin = time.perf_counter()
    plan.check()
    with held(plan.folder):
        stages = Stages(writable(plan.folder), tell)
        made = prepare(plan, stages, quiet=quiet)
        comparison = Comparison(
            made.network, made.image, made.stimulus, plan.backends, allow_silent=allow_silent
        )
        for name in plan.backends:
            if is_chip(name):
                verilog_of(plan.target, stages.folder / "rtl" / "spikeloop.v")
                with stages.timed(f"build {name}"):
                    comparison.open(name).close()
        tell("compare ...")

        def about(result: Result) -> dict[str, Any]:
            scores = result.to_dict()
            stages.seconds["compare"] = result.seconds
            return {
                "accuracy": scores["accuracy"] | {"float": made.notes["encode"]["float"]},
                "config": plan.config,
                "bits": plan.bits,
                "chip": plan.chip,
                "encoder": plan.encoder,
                "seed": plan.seed,
                "dataset": made.notes["train"]["dataset"]["source"],
                "network_sha256": made.network.sha256(),
                "quantize": made.notes["quantize"],
                "seconds": round(time.perf_counter() - begin, 3),
                "busy_seconds": scores["busy_seconds"],
                "stages": {
                    name: {"seconds": round(seconds, 3), "reused": name in stages.reused}
                    for name, seconds in stages.seconds.items()
                },
                "files": {
                    "network": "network.safetensors",
                    "image": "image",
                    "stimulus": "stimulus.npz",
                    "report": "report.html",
                },
            }

        filing = Filing(
            folder=plan.folder,
            image=plan.folder / "image",
            network=plan.folder / "network.safetensors",
            page=True,
        )
        return comparison.file(filing, tell=tell, started=started, progress=progress, about=about)
