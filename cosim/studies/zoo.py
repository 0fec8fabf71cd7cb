"""Every kept net through one backend: a row each, one table, one page (``spikeloop zoo``).

    build/zoo/NAME-...   the run of a net (cosim/runs/folder.py); a broken-off one goes on, one
                         of other sources begins anew
    build/zoo/nets       nets trained anew (``--train``), each with its checkpoint
    build/zoo/zoo.html   the table, accuracy against SOPs, firing rates

SOPs, cycles and spikes are counters of the backend, or of pysim if it has none. Energy is the model
of pysim/cost/work.py, not a measurement. The results are in docs/results.md.
"""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from spikeloop.cosim.backends import check_names
from spikeloop.cosim.compare.result import CHIPS
from spikeloop.cosim.flow.pretrained import Net, load
from spikeloop.cosim.flow.verify import Comparison, Filing
from spikeloop.cosim.runs.folder import sources
from spikeloop.cosim.studies.figures import LINES, figure, svg
from spikeloop.golden.data.datasets import Dataset, load_mnist
from spikeloop.golden.nets.files import kept_files
from spikeloop.pysim.bundle.program import compile_program
from spikeloop.pysim.chip.params import Chip, preset
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import write_atomic
from spikeloop.pysim.cost.work import Constants
from spikeloop.pysim.network.graph import Network

__all__ = ["BACKENDS", "CHIP", "check_backend", "chip_for", "row", "run", "train", "write_page"]

CHIP = "full,extension=4"
"""The default chip; the LeNet's fan-in is 1,600 lines."""

BACKENDS = ("verilator", "icarus", "pysim")


def run(
    names: Sequence[str] | None,
    backend: str,
    samples: int,
    data: Path | None,
    folder: Path,
    *,
    chip: str | None,
    anew: bool,
    tell: Callable[[str], None],
    bar: Callable[[str], AbstractContextManager[tuple[Callable[[int], None], ...]]],
) -> list[dict[str, Any]]:
    """The rows of the nets ``names`` (None: all kept ones); ``folder``/zoo.html grows with each.

    ``anew``: train each net first. ``bar`` opens a progress bar and gives its start and advance.
    Of all kept nets, one whose own data set is missing is left out, and told.
    """
    backends, mnist, target = check_backend(backend), load_mnist(data), chip or CHIP
    preset(target)
    chosen = list[tuple[Net, Dataset]]()
    for net in [load(name) for name in names or kept_files()]:
        try:
            chosen.append((net, net.load_data() if net.load_data else mnist))
        except InputError as error:
            if names:
                raise
            tell(f"{net.name} is left out: {error}")
    for net, images in chosen:
        net.check_samples(images, samples)
    rows = []
    for net, images in chosen:
        if anew:
            tell(f"{net.name}: training ...")
            net = load(net.name, train(net, data, folder / "nets"))
        with bar(net.name) as (start, advance):
            start(samples)
            rows.append(
                row(
                    net, images, samples, backends, folder, chip=target, tell=tell, progress=advance
                )
            )
        write_page(rows, folder / "zoo.html")
    return rows


def check_backend(name: str) -> list[str]:
    """The backends of a row: golden, pysim and ``name``. InputError if that cannot run here."""
    if name not in BACKENDS:
        raise InputError(f"backend of the zoo must be one of {', '.join(BACKENDS)}, not {name!r}")
    check_names([name])
    return list(dict.fromkeys(("golden", "pysim", name)))


def chip_for(network: Network, name: str = CHIP) -> Chip:
    """The chip of preset ``name``, with room for what the network needs more.

    These are parameter pages and their shift, bits of a membrane, and ticks of delay.
    """
    chip = preset(name)
    pages = max(p.v_th.shape[0] for p in network.populations)
    inner = [edge for edge in network.edges if not network.is_input(edge.source)]
    delays = [network.physical_delay(edge) for edge in inner]
    return replace(
        chip,
        pages=max(chip.pages, 1 << (pages - 1).bit_length()),
        page_shift=max([chip.page_shift, *(p.page_shift for p in network.populations)]),
        delay_max=max([chip.delay_max, *delays]),
        membrane_bits=max(chip.membrane_bits, network.membrane_bits),
    )


def train(net: Net, data: Path | None, folder: Path) -> Path:
    """Train ``net`` anew by its own command, unless its file is in ``folder``; the file.

    A killed training goes on. ``data`` is the folder of MNIST, for nets that take it; None: the
    embedded images.
    InputError if the training fails.
    """
    path, command = folder / f"{net.name}.safetensors", net.command
    if path.is_file():
        return path
    at = command.index("--data") if "--data" in command else len(command)
    command = [
        *command[:at],
        *command[at + 2 :],
        *(["--data", str(data.resolve())] if data and not net.load_data else []),
        "--out",
        str(path.resolve()),
    ]
    folder.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
    done = subprocess.run(
        [sys.executable, "-m", *command], stdout=sys.stderr, check=False, env=environment
    )
    if done.returncode or not path.is_file():
        raise InputError(
            f"training of {net.name!r} must end with a net, not with exit status "
            f"{done.returncode}: {' '.join(command)}"
        )
    return path


def row(
    net: Net,
    data: Dataset,
    samples: int,
    names: list[str],
    folder: Path,
    *,
    chip: str = CHIP,
    tell: Callable[[str], None] = lambda text: None,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Run the first ``samples`` test images through the backends ``names`` and compare everything.

    Returns a row of the table (JSON). ``spikes`` of all populations, ``sops``, ``cycles`` and
    ``energy`` (J) are per image. ``rates`` are spikes per neuron and step, by population.
    ``accuracy`` holds ``float`` and ``all`` (the integer net) on all test images, ``integer`` and
    ``rtl`` on these (None without labels). A difference leaves its evidence in the run's folder.
    """
    network, stimulus = net.network, net.stimulus(data, samples)
    target = chip_for(network, chip)
    bundle = compile_program(network, target)
    key = hashlib.sha256((network.sha256() + sources()).encode()).hexdigest()
    where = folder / f"{net.name}-{key[:8]}-{names[-1]}-{samples}"
    comparison = Comparison(network, bundle, stimulus, names)
    verdict = comparison.file(
        Filing(folder=where, keep=(), resume=True), tell=tell, progress=progress
    )
    if verdict.evidence:
        tell(str(verdict.evidence))
    result, chunks = verdict.result, verdict.run.chunks
    cycles, sops = result.cycles_measured or result.cycles_predicted or 0, result.sops or 0
    rates = {
        p.name: float(sum(chunk.neurons[p.name].sum() for chunk in chunks))
        / (samples * network.steps * p.size)
        for p in network.order()
    }
    return {
        "name": net.name,
        "rule": net.rule,
        "samples": samples,
        "backends": names,
        "steps": network.steps,
        "cores": len(bundle.images),
        "chip": target.to_dict(),
        "neurons": sum(p.size for p in network.populations),
        "synapses": sum(int(e.fanout().sum()) for e in network.edges),
        "accuracy": {
            "float": net.accuracy["float"],
            "all": net.accuracy["integer"],
            "integer": result.score("golden"),
            "rtl": result.score(*CHIPS),
        },
        "spikes": (result.total("spikes_out", "golden") or 0) / samples,
        "sops": sops / samples,
        "cycles": cycles / samples,
        "energy": Constants().energy(sops, 0.0) / samples,
        "rates": rates,
        "neuron_ticks": result.neuron_ticks,
        "different": result.different,
        "failures": result.failures(),
        "verdict": result.verdict,
        "published": net.metadata.get("published"),
        "command": " ".join(net.command),
    }


def write_page(rows: list[dict[str, Any]], path: Path) -> Path:
    """The table and its plots as one HTML file that needs nothing else."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("spikeloop.cosim.studies"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": lambda x: "-" if x is None else f"{x:.2%}",
        "count": lambda x: f"{x:,.0f}",
    }
    template = environment.get_template("zoo.html")
    page = template.render(rows=rows, plots=[_scatter(rows), _rates(rows)])
    return write_atomic(path, page.encode())


def _scatter(rows: list[dict[str, Any]]) -> str:
    """Accuracy of the integer nets on all test images against SOPs per image."""
    drawn, ((axis,),) = figure(1, 1, 8.4, 3.4)
    for i, r in enumerate(rows):
        if r["accuracy"]["all"] is not None and r["sops"]:
            at = (r["sops"], 100 * r["accuracy"]["all"])
            axis.plot(*at, "o", color=LINES[i % len(LINES)], markersize=5)
            axis.annotate(r["name"], at, xytext=(5, 4), textcoords="offset points", fontsize=7.5)
    axis.set_xscale("log")
    axis.set_xlabel("synaptic operations per image")
    axis.set_ylabel("accuracy, %")
    axis.grid()
    return _svg(drawn)


def _rates(rows: list[dict[str, Any]]) -> str:
    """Spikes per neuron and step of every population that spikes."""
    bars = [
        (f"{r['name']}: {name}", rate, LINES[i % len(LINES)])
        for i, r in enumerate(rows)
        for name, rate in r["rates"].items()
        if rate
    ]
    drawn, ((axis,),) = figure(1, 1, 8.4, 0.6 + 0.17 * len(bars))
    at = np.arange(len(bars))[::-1]
    axis.barh(at, [rate for _, rate, _ in bars], color=[color for *_, color in bars], height=0.7)
    axis.set_yticks(at, [label for label, *_ in bars], fontsize=7)
    axis.set_ylim(-0.7, len(bars) - 0.3)
    axis.set_xlabel("spikes per neuron and step")
    return _svg(drawn)


def _svg(drawn: Any) -> str:
    text = svg(drawn, "none").decode()
    return text[text.index("<svg") :]
