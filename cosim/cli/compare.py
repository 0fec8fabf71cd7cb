"""The commands ``spikeloop compare``, ``report`` and ``waves``: the verdict of a run, its page, and a closer look."""

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from spikeloop.cosim.cli.console import Json, bar, names, output, tell
from spikeloop.pysim.common.errors import InputError

__all__ = ["Backends", "Samples", "beside", "compare", "report", "rows", "verdict", "waves"]

Backends = Annotated[
    str,
    typer.Option(
        "--backends",
        metavar="A,B,...",
        help="Backends, the reference first: golden, pysim, verilator, icarus, board:PORT, replay:FILE.",
    ),
]
Samples = Annotated[
    int | None,
    typer.Option(
        "--samples",
        metavar="N",
        help="Only the first N samples. [dim]default: all[/dim]",
        show_default=False,
    ),
]


def compare(
    image: Annotated[Path, typer.Argument(help="Image folder.")],
    stimulus: Annotated[
        Path | None,
        typer.Option(
            "--stimulus",
            metavar="S.npz",
            help="Input spikes (and labels). "
            "[dim]default: stimulus.npz in the image folder or beside it[/dim]",
            show_default=False,
        ),
    ] = None,
    backends: Backends = "golden,pysim,verilator",
    samples: Samples = None,
    network: Annotated[
        Path | None,
        typer.Option(
            "--network",
            metavar="FILE",
            help="Integer network, for golden. "
            "[dim]default: network.safetensors in the image folder or beside it[/dim]",
            show_default=False,
        ),
    ] = None,
    expected: Annotated[
        Path | None,
        typer.Option(
            "--expected",
            metavar="E.npz",
            help="Output spikes that every backend must give (of spikeloop import).",
            show_default=False,
        ),
    ] = None,
    membranes: Annotated[bool, typer.Option(help="Compare membranes too.")] = True,
    record: Annotated[
        Path | None,
        typer.Option(
            "--record",
            metavar="FILE",
            help="Take down what is said with the board, for backend replay:FILE.",
            show_default=False,
        ),
    ] = None,
    keep: Annotated[
        str,
        typer.Option(
            "--keep",
            metavar="N,M,...",
            help="Samples that spikeloop report draws. [dim]default: the first four[/dim]",
            show_default=False,
        ),
    ] = "",
    folder: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="RUN",
            help="Folder of the run: journal, summary, what shows a difference.",
        ),
    ] = Path("build/run"),
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with the run in RUN, wherever it was broken off."),
    ] = False,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler",
            metavar="ADDRESS",
            help="Spread the samples over the workers of a "
            "dask.distributed cluster, such as tcp://HOST:8786.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Run a stimulus through two or more backends and compare every spike, membrane and counter with the first."""
    with output(json) as out:
        from spikeloop.cosim.backends import check_names, open_backend
        from spikeloop.cosim.compare.compare import compare as run
        from spikeloop.cosim.compare.result import Result
        from spikeloop.cosim.compare.shrink import keep_evidence
        from spikeloop.cosim.runs.folder import SUMMARY, Run
        from spikeloop.pysim.bundle.open import load_bundle
        from spikeloop.pysim.bundle.shares import Shared
        from spikeloop.pysim.network.graph import Network
        from spikeloop.pysim.traces.expected import Expected
        from spikeloop.pysim.traces.stimulus import Stimulus

        who = names(backends)
        check_names(who)
        bundle = load_bundle(image)
        file = network or beside(image, "network.safetensors", "--network")
        stimulus = stimulus or beside(image, "stimulus.npz", "--stimulus")
        net, spikes = Network.load(file), Stimulus.load(stimulus)
        spikes.check(net)
        wanted = Expected.load(expected) if expected else None
        if samples is not None:
            if not 0 < samples <= spikes.samples:
                raise InputError(
                    f"samples must be in 1..{spikes.samples} (the stimulus holds as many), not {samples}"
                )
            spikes, wanted = spikes.take(slice(samples)), wanted and wanted.take(slice(samples))
        kept = _samples(keep, spikes.samples)

        holders = bundle.holders() if isinstance(bundle, Shared) else {}
        if record and not any(name.startswith("board:") for name in who):
            raise InputError(
                f"backends of a session to record must hold board:PORT, not only {', '.join(who)}"
            )
        if resume and (record or any(name.startswith("replay:") for name in who)):
            raise InputError(
                "run to go on with must not record or replay a session, which is whole or nothing: leave out --resume"
            )

        once = (
            {"record": record} if record else {}
        )  # the comparison is recorded, what looks for a minimal stimulus is not

        def opener(name: str) -> Any:
            return open_backend(
                name,
                net,
                bundle,
                **({"record": once.pop("record")} if once and name.startswith("board:") else {}),
            )

        kept_run = Run.open(
            folder,
            net,
            bundle,
            spikes,
            who,
            membranes=membranes,
            expected=wanted,
            keep=kept,
            resume=resume,
        )
        farm = None
        if scheduler:
            from spikeloop.cosim.compare.farm import Farm

            farm = Farm(scheduler, net, image, who)
        about = {"image": str(image), "network": str(file), "stimulus": str(stimulus)}
        try:
            with bar() as (start, advance):
                start(spikes.samples)
                result = run(
                    net,
                    spikes,
                    who,
                    opener,
                    membranes=membranes,
                    progress=advance,
                    expected=wanted,
                    holders=holders,
                    keep=kept,
                    done=kept_run.chunks,
                    record=kept_run.add,
                    farm=farm,
                )
        except KeyboardInterrupt:
            if not kept_run.chunks:
                raise
            result = Result.of(net, who, kept_run.chunks, holders=holders, alive=())
            kept_run.finish(result, **about, evidence=None)
            again = [
                "spikeloop",
                "compare",
                str(image),
                "--network",
                str(file),
                "--stimulus",
                str(stimulus),
                "--backends",
                backends,
            ]
            again += [
                part
                for option, value in (
                    ("--samples", samples),
                    ("--expected", expected),
                    ("--keep", keep or None),
                    ("--scheduler", scheduler),
                    ("-o", folder),
                )
                if value is not None
                for part in (option, str(value))
            ]
            again += ["--resume"] if membranes else ["--no-membranes", "--resume"]
            tell(
                f"spikeloop: interrupted after {result.samples:,} of {spikes.samples:,} samples, {result.different:,} different so far "
                f"({folder / SUMMARY}); go on: {shlex.join(again)}"
            )
            raise typer.Exit(130) from None
        evidence = None
        if result.first and result.first.reference != "expected":
            tell("first difference: looking for a minimal stimulus ...")
            evidence = keep_evidence(
                net,
                spikes,
                result.first,
                opener,
                folder,
                image=image,
                network_file=file,
                membranes=membranes,
                holders=holders,
            )
        summary = kept_run.finish(result, **about, evidence=str(evidence) if evidence else None)
        summary |= result.to_dict()  # with times
        out(summary, rows(summary) | {"page": f"spikeloop report {folder}"})
        verdict(result, evidence)


def report(
    folder: Annotated[
        Path, typer.Argument(metavar="RUN", help="Folder of a run, of spikeloop compare or sim.")
    ] = Path("build/run"),
    file: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Page to write. [dim]default: report.html in RUN[/dim]",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Write the page of a run: verdict, activity, rasters and membranes, mapping, cycles, confusion, differences."""
    with output(json) as out:
        from spikeloop.cosim.runs.folder import Run
        from spikeloop.cosim.runs.page import write

        path = write(*Run.load(folder), file)
        out(
            {"report": str(path), "bytes": path.stat().st_size},
            {"page": f"{path} ({path.stat().st_size:,} bytes)"},
        )


def waves(
    image: Annotated[Path, typer.Argument(help="Image folder.")],
    around: Annotated[
        str,
        typer.Option(
            "--around", metavar="core=C,tick=T", help="Where to look; core 0 if it is not named."
        ),
    ],
    stimulus: Annotated[
        Path | None,
        typer.Option(
            "--stimulus",
            metavar="S.npz",
            help="Input spikes. [dim]default: stimulus.npz in the image folder or beside it[/dim]",
            show_default=False,
        ),
    ] = None,
    sample: Annotated[
        int, typer.Option("--sample", metavar="N", help="Sample of the stimulus.")
    ] = 0,
    before: Annotated[
        int, typer.Option("--before", metavar="N", min=0, help="Ticks before it.")
    ] = 1,
    after: Annotated[int, typer.Option("--after", metavar="N", min=0, help="Ticks after it.")] = 1,
    backend: Annotated[
        str, typer.Option("--backend", metavar="NAME", help="verilator or icarus.")
    ] = "verilator",
    folder: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to write.")
    ] = Path("build/waves"),
    json: Json = False,
) -> None:
    """Record the ticks around one of a core as named signals (VCD), with save files for GTKWave and Surfer."""
    with output(json) as out:
        from spikeloop.cosim.backends import check_names
        from spikeloop.cosim.waves.window import around as place
        from spikeloop.cosim.waves.window import record
        from spikeloop.pysim.traces.stimulus import Stimulus

        check_names([backend])
        spikes = Stimulus.load(stimulus or beside(image, "stimulus.npz", "--stimulus"))
        found = record(
            image,
            spikes,
            folder,
            **place(around),
            sample=sample,
            before=before,
            after=after,
            simulator=backend,
        )
        out(
            found,
            {
                "waves": f"{found['waves']}: {found['signals']} signals of core {found['core']}, ticks {found['ticks'][0]} to "
                f"{found['ticks'][1]}",
                "GTKWave": f"gtkwave {found['gtkwave']}",
                "Surfer": f"surfer -c {found['surfer']} {found['waves']}",
            },
        )


def _samples(text: str, count: int) -> list[int]:
    """Samples to keep: "0,17" to [0, 17]."""
    if not text:
        from spikeloop.cosim.runs.folder import KEPT

        return list(range(min(KEPT, count)))
    if not all(part.isdecimal() and int(part) < count for part in names(text)):
        raise InputError(
            f"samples to keep must be numbers in 0..{count - 1} such as 0,3, not {text!r}"
        )
    return sorted({int(part) for part in names(text)})


def rows(s: dict[str, Any]) -> dict[str, Any]:
    """The table of a comparison's summary."""

    def percent(value: float | None) -> str:
        return "-" if value is None else f"{value:.2%}"

    def count(value: int | None) -> str:
        return "-" if value is None else f"{value:,}"

    scores = s["accuracy"]
    found = {"samples": f"{s['samples']:,} of {s['steps']} steps", "ticks": count(s["ticks"])}
    for pair in s["pairs"]:
        what = "neuron-ticks" if pair["membranes_compared"] else "neuron-ticks (spikes only)"
        found[f"{pair['reference']} = {pair['backend']}?"] = (
            f"{pair['neuron_ticks']:,} {what} compared, {pair['neuron_ticks_different']:,} different; "
            + (
                f"{pair['currents']:,} currents compared, {pair['currents_different']:,} different; "
                if pair["currents"]
                else ""
            )
            + f"{pair['counter_values']:,} counter values compared, {sum(pair['counters_different'].values()):,} different"
        )
    found |= s["natures"]
    found["differences"] = count(s["different"])
    found["accuracy"] = (
        f"float {percent(scores['float'])}, integer {percent(scores['integer'])}, RTL {percent(scores['rtl'])}"
    )
    found["cycles"] = (
        f"predicted {count(s['cycles_predicted'])}, measured {count(s['cycles_measured'])}"
    )
    found["SOPs"] = count(s["sops"])
    found["seconds"] = f"{s['seconds']:.1f}" + "".join(
        f", {name} {busy:.1f}" for name, busy in s["busy_seconds"].items()
    )
    return found


def verdict(result: Any, evidence: Any) -> None:
    """Exit status 1, with every reason and the evidence on stderr, unless all is equal."""
    for reason in result.failures():
        tell(f"spikeloop: {reason}")
    if evidence:
        tell(str(evidence))
    if not result.equal:
        raise typer.Exit(1)


def beside(image: Path, name: str, option: str) -> Path:
    """File ``name`` in the image folder or beside it."""
    for folder in (image, image.resolve().parent):
        if (folder / name).is_file():
            return folder / name
    what = name.partition(".")[0]
    raise InputError(
        f"{what} of image {str(image)!r} must lie in it or beside it as {name}, not be missing: name it with {option}"
    )
