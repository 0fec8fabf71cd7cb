"""The commands ``spikeloop sim``, ``compare``, ``report`` and ``waves``: run it, and look at it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from spikeloop.cosim.cli.console import INTERRUPTED, STATUS, complain, open_console
from spikeloop.cosim.cli.options import (
    AllowSilent,
    Backends,
    Bits,
    ChipName,
    Config,
    Data,
    Encoding,
    Epochs,
    Groups,
    Json,
    Recurrent,
    Samples,
    Seed,
    Steps,
    StimulusFile,
    Verbose,
    argument,
    names,
    option,
    output,
)
from spikeloop.pysim.common.errors import InputError

__all__ = ["compare", "report", "sim", "waves"]

IMAGE = argument("IMAGE", "Image folder.")


def sim(
    config: Config = "784-100-10",
    bits: Bits = 8,
    chip: ChipName = "zou2021",
    data: Data = None,
    backends: Backends = "golden,pysim,verilator",
    samples: Samples = None,
    encoder: Encoding = "rank_order",
    steps: Steps = 8,
    epochs: Epochs = None,
    seed: Seed = 0,
    recurrent: Recurrent = False,
    allow_silent: AllowSilent = False,
    folder: Annotated[Path, output("Folder of all that is made.")] = Path("build/sim"),
    verbose: Verbose = None,
    json: Json = False,
) -> None:
    """Train, quantize, map, generate, simulate and compare, in one folder.

    Steps whose inputs have not changed are kept from the last time.
    """
    with open_console(json, verbose) as console:
        from spikeloop.cosim.flow.plan import Plan, parse_layers
        from spikeloop.cosim.flow.sim import simulate

        plan = Plan(
            layers=parse_layers(config),
            bits=bits,
            chip=chip,
            data=data,
            backends=names(backends),
            samples=samples,
            folder=folder,
            encoder=encoder,
            steps=steps,
            epochs=epochs,
            seed=seed,
            recurrent=recurrent,
        )
        with console.bar("compare", "samples") as (start, advance):
            outcome = simulate(
                plan,
                tell=console.tell,
                progress=advance,
                started=start,
                quiet=json or console.quiet,
                allow_silent=allow_silent,
            )
        s = outcome.summary
        times = (
            f"{name} {stage['seconds']:.1f} s{' (kept)' if stage['reused'] else ''}"
            for name, stage in s["stages"].items()
        )
        console.result(
            s, {**rows(s), "wall time": ", ".join(times), "report": folder / "report.html"}
        )
        verdict(outcome.result, outcome.evidence)


def compare(
    image: Annotated[Path, IMAGE],
    stimulus: StimulusFile = None,
    backends: Backends = "golden,pysim,verilator",
    samples: Samples = None,
    network: Annotated[
        Path | None,
        option(
            "--network",
            metavar="FILE",
            help="Integer network, for golden.",
            default="network.safetensors in the image folder or beside it",
        ),
    ] = None,
    expected: Annotated[
        Path | None,
        option(
            "--expected",
            metavar="E.npz",
            help="Output spikes that every backend must give (of spikeloop import).",
            show_default=False,
        ),
    ] = None,
    membranes: Annotated[bool, option(help="Compare membranes too.")] = True,
    readout: Annotated[
        str | None,
        option(
            "--readout",
            metavar="NAME",
            help="What is read off the output neurons: {readouts}.",
            default="as the network says",
        ),
    ] = None,
    groups: Groups = None,
    allow_silent: AllowSilent = False,
    record: Annotated[
        Path | None,
        option(
            "--record",
            metavar="FILE",
            help="Take down what is said with the board, for backend replay:FILE.",
            show_default=False,
        ),
    ] = None,
    keep: Annotated[
        str,
        option(
            "--keep",
            metavar="N,M,...",
            help="Samples that spikeloop report draws.",
            default="the first four",
        ),
    ] = "",
    folder: Annotated[
        Path, output("Folder of the run: journal, summary, what shows a difference.", "RUN")
    ] = Path("build/run"),
    resume: Annotated[
        bool,
        option(
            "--resume",
            help="Go on with the run in RUN, wherever it broke off; begin one if there is none.",
        ),
    ] = False,
    junit: Annotated[
        Path | None,
        option(
            "--junit",
            metavar="FILE",
            help="Write the verdict as JUnit XML, a test case for each pair and population.",
            show_default=False,
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        option(
            "--scheduler",
            metavar="ADDRESS",
            help="Spread the samples over the workers of a "
            "dask.distributed cluster, such as tcp://HOST:8786.",
            show_default=False,
        ),
    ] = None,
    verbose: Verbose = None,
    json: Json = False,
) -> None:
    """Run a stimulus through two or more backends and compare each with the first.

    Compares every spike, every counter and, unless --no-membranes, every membrane.
    """
    with open_console(json, verbose) as console:
        from spikeloop.cosim.flow.request import Request
        from spikeloop.cosim.flow.verify import Interrupted
        from spikeloop.pysim.common.files import check_output

        if junit:
            check_output(junit, file=True)
        request = Request(
            image=image,
            backends=names(backends),
            folder=folder,
            stimulus=stimulus,
            network=network,
            expected=expected,
            samples=samples,
            membranes=membranes,
            record=record,
            keep=_samples(keep),
            resume=resume,
            scheduler=scheduler,
            kind=readout,
            groups=groups,
            allow_silent=allow_silent,
            junit=junit,
        )
        try:
            with console.bar("compare", "samples") as (start, advance):
                done = request.run(tell=console.tell, started=start, progress=advance)
        except Interrupted as stop:
            complain(f"spikeloop: {request.interrupted(stop)}")
            raise typer.Exit(INTERRUPTED) from None
        summary = done.result.to_dict() | done.summary  # with times, and the accuracy of floats
        console.result(summary, rows(summary) | {"page": f"spikeloop report {folder}"})
        verdict(done.result, done.evidence)


def report(
    folder: Annotated[
        Path, argument("RUN", "Folder of a run, of spikeloop compare or sim.")
    ] = Path("build/run"),
    other: Annotated[
        Path | None, argument("OTHER", "Folder of a second run: both side by side.")
    ] = None,
    file: Annotated[
        Path | None,
        output("Page to write.", "FILE", default="report.html in RUN; of two runs beside.html"),
    ] = None,
    json: Json = False,
) -> None:
    """Write the page of a run, or of two runs side by side.

    It shows verdict, activity, rasters and membranes, mapping, cycles, confusion and differences.
    """
    with open_console(json) as console:
        from spikeloop.cosim.runs.beside import beside
        from spikeloop.cosim.runs.page import report as write

        path = beside(folder, other, file) if other else write(folder, file)
        console.result(
            {"report": str(path), "bytes": path.stat().st_size},
            {"page": f"{path} ({path.stat().st_size:,} bytes)"},
        )


def waves(
    image: Annotated[Path, IMAGE],
    around: Annotated[
        str,
        option(
            "--around", metavar="core=C,tick=T", help="Where to look; core 0 if it is not named."
        ),
    ],
    stimulus: StimulusFile = None,
    sample: Annotated[int, option("--sample", metavar="N", help="Sample of the stimulus.")] = 0,
    before: Annotated[
        int, option("--before", metavar="N", within=(0, 65536), help="Ticks before it.")
    ] = 1,
    after: Annotated[
        int, option("--after", metavar="N", within=(0, 65536), help="Ticks after it.")
    ] = 1,
    backend: Annotated[
        str, option("--backend", metavar="NAME", help="One of {wave_simulators}.")
    ] = "verilator",
    folder: Annotated[Path, output("Folder to write.")] = Path("build/waves"),
    verbose: Verbose = None,
    json: Json = False,
) -> None:
    """Record the ticks around one of a core as named signals (VCD).

    Save files for GTKWave and Surfer come with them.
    """
    with open_console(json, verbose) as console:
        from spikeloop.cosim.backends import check_names
        from spikeloop.cosim.flow.export import beside
        from spikeloop.cosim.waves.window import around as place
        from spikeloop.cosim.waves.window import record
        from spikeloop.pysim.traces.stimulus import Stimulus

        check_names([backend])
        spikes = Stimulus.load(stimulus or beside(image, "stimulus.npz", "name it with --stimulus"))
        window = record(
            image,
            spikes,
            folder,
            **place(around),
            sample=sample,
            before=before,
            after=after,
            simulator=backend,
        )
        first, last = window["ticks"]
        signals = f"{window['signals']} signals of core {window['core']}"
        console.result(
            window,
            {
                "waves": f"{window['waves']}: {signals}, ticks {first} to {last}",
                "GTKWave": f"gtkwave {window['gtkwave']}",
                "Surfer": f"surfer -c {window['surfer']} {window['waves']}",
            },
        )


def _samples(text: str) -> list[int] | None:
    """Samples to keep: "0,17" to [0, 17]; None for nothing."""
    if not all(part.isdecimal() and len(part) < 10 for part in names(text)):
        raise InputError(f"samples to keep must be numbers such as 0,3, not {text!r}")
    return sorted({int(part) for part in names(text)}) or None


def rows(s: dict[str, Any]) -> dict[str, Any]:
    """The table of a comparison's summary."""

    def percent(value: float | None) -> str:
        return "-" if value is None else f"{value:.2%}"

    def count(value: int | None) -> str:
        return "-" if value is None else f"{value:,}"

    scores = s["accuracy"]
    table = {"samples": f"{s['samples']:,} of {s['steps']} steps", "ticks": count(s["ticks"])}
    for pair in s["pairs"]:
        spikes_only = "" if pair["membranes_compared"] else " (spikes only)"
        counters = sum(pair["counters_different"].values())
        compared = [
            (f"neuron-ticks{spikes_only}", pair["neuron_ticks"], pair["neuron_ticks_different"]),
            ("currents", pair["currents"], pair["currents_different"]),
            ("last values", pair["ends"], pair["ends_different"]),
            ("counter values", pair["counter_values"], counters),
        ]
        table[f"{pair['reference']} = {pair['backend']}?"] = "; ".join(
            f"{number:,} {what} compared, {different:,} different"
            for what, number, different in compared
            if number or what not in ("currents", "last values")
        )
    table |= s["natures"]
    table["differences"] = count(s["different"])
    if s["silent"]:
        table["silent"] = ", ".join(s["silent"])
    table["answer"] = s["answer"]
    table["accuracy"] = ", ".join(
        f"{name} {percent(scores[key])}"
        for name, key in (("float", "float"), ("integer", "integer"), ("RTL", "rtl"))
    )
    if floats := s.get("floats"):
        spikes = sum(row["spikes"] for row in floats["populations"])
        different = sum(row["different"] for row in floats["populations"])
        table["float - integer"] = (
            f"{different:,} of {spikes:,} spikes differ, {floats['answers']:,} of "
            f"{floats['samples']:,} answers differ"
        )
    predicted, measured = count(s["cycles_predicted"]), count(s["cycles_measured"])
    table["cycles"] = f"predicted {predicted}, measured {measured}"
    table["SOPs"] = count(s["sops"])
    busy = [f"{name} {seconds:.1f}" for name, seconds in s["busy_seconds"].items()]
    table["seconds"] = ", ".join([f"{s['seconds']:.1f}", *busy])
    return table


def verdict(result: Any, evidence: Any) -> None:
    """The exit status of the verdict, with every reason and the evidence on stderr."""
    for reason in result.failures():
        complain(f"spikeloop: {reason}")
    if result.silent and result.verdict == "unproven":
        complain("spikeloop: nothing differs; take more samples, or accept it by --allow-silent")
    if evidence:
        complain(str(evidence))
    if status := STATUS[result.verdict]:
        raise typer.Exit(status)
