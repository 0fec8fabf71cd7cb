"""The commands of the macros and of studies: onn, dendritic, zoo and pim-sweep."""

from pathlib import Path
from typing import Annotated, Any

import typer

from spikeloop.cosim.cli.console import DIFFERENT, STATUS, complain, open_console, zoo_table
from spikeloop.cosim.cli.options import Data, Json, Verbose, argument, names, option, output
from spikeloop.pysim.common.errors import InputError

__all__ = ["dendritic", "onn", "pim_sweep", "zoo"]


def onn(
    what: Annotated[
        str,
        argument(
            "PATTERNS",
            "digits, or a file .npy: -1 and 1, [pattern, pixel] or [pattern, row, column].",
        ),
    ] = "digits",
    cell: Annotated[str, option("--cell", metavar="NAME", help="Which cell: {cells}.")] = "phase",
    backend: Annotated[
        str,
        option(
            "--backend",
            metavar="A,B,...",
            help="Who recalls; with more than one all are compared with the first: {engines}.",
        ),
    ] = "pysim,verilator",
    fuzzy: Annotated[
        str, option("--fuzzy", metavar="N,N-N,...", help="Fuzzy pixels of the inputs.")
    ] = "0,6,12,18",
    samples: Annotated[
        int, option("--samples", metavar="N", help="Inputs for each number of fuzzy pixels.")
    ] = 60,
    seed: Annotated[int, option("--seed", metavar="N", help="Which fuzzy pixels.")] = 0,
    beta: Annotated[
        float | None,
        option("--beta", metavar="X", help="Slope of the mapping.", default="a 32nd of the pixels"),
    ] = None,
    factor: Annotated[
        float | None,
        option("--factor", metavar="X", help="Factor on all resistances.", default="1.08"),
    ] = None,
    periods: Annotated[
        int | None,
        option(
            "--periods", metavar="N", help="Free periods of a run, at most.", default="20 or 50"
        ),
    ] = None,
    settle: Annotated[
        int | None,
        option(
            "--settle",
            metavar="N",
            help="A run ends after so many periods without a change; 0: never.",
            default="4 or 2",
        ),
    ] = None,
    every: Annotated[
        bool, option("--every", help="Compare every value of every step, not the end alone.")
    ] = False,
    figures: Annotated[
        bool, option("--figures", help="The figures of the paper instead (minutes).")
    ] = False,
    resume: Annotated[
        bool, option("--resume", help="Go on behind the last recall that was kept.")
    ] = False,
    folder: Annotated[Path, output("Folder of the net, the journal and the picture.")] = Path(
        "build/onn"
    ),
    verbose: Verbose = None,
    json: Json = False,
) -> None:
    """Let coupled oscillators recall fuzzy patterns, and compare RTL and models."""
    with open_console(json, verbose) as console:
        if figures:
            from spikeloop.cosim.oscillators.paper import run as run_figures

            with console.bar("onn", "figures") as (start, advance):
                console.result(*run_figures(samples, started=start, progress=advance))
            return
        from spikeloop.cosim.oscillators.run import run

        with console.bar("onn", "recalls") as (start, advance):
            document, rows = run(
                what,
                names(backend),
                cell=cell,
                fuzzy=names(fuzzy),
                samples=samples,
                seed=seed,
                beta=beta,
                factor=factor,
                periods=periods,
                settle=settle,
                every=every,
                folder=folder,
                resume=resume,
                started=start,
                progress=advance,
            )
        console.result(document, rows)
        if document["first"]:
            complain(f"spikeloop: {document['first']}")
            raise typer.Exit(DIFFERENT)
        if document["unsteady"] == document["samples"]:
            raise InputError(
                "a net must come to a stable period in some recall; none of the "
                f"{document['samples']:,} did: allow more --periods, or other patterns"
            )


def dendritic(
    what: Annotated[
        str, argument("SOUNDS", "own, or a file .npy: numbers in dB [class, sound, band, frame].")
    ] = "own",
    mixtures: Annotated[
        str, option("--mixtures", metavar="N", help="Mixtures: a target with so many others.")
    ] = "2",
    passes: Annotated[
        int, option("--passes", metavar="N", help="Times that all mixtures are shown.")
    ] = 3000,
    trials: Annotated[
        int, option("--trials", metavar="N", help="Times that the responses are measured.")
    ] = 20,
    neurons: Annotated[int, option("--neurons", metavar="N", help="Neurons, 2 to 16.")] = 8,
    seed: Annotated[
        int, option("--seed", metavar="N", help="Which sounds, first weights and spikes.")
    ] = 0,
    backend: Annotated[
        str,
        option(
            "--backend",
            metavar="A,B,...",
            help="Who learns; with more than one all are compared with the first: {engines}.",
        ),
    ] = "pysim",
    every: Annotated[
        bool, option("--every", help="Compare every value of every step, not of every show.")
    ] = False,
    figures: Annotated[
        bool,
        option(
            "--figures", help="The paper's figure instead: --mixtures 1-4,6 --seeds 0-4 (hours)."
        ),
    ] = False,
    seeds: Annotated[
        str, option("--seeds", metavar="N,N-N,...", help="Of --figures: seeds of each point.")
    ] = "0-2",
    resume: Annotated[
        bool, option("--resume", help="Go on behind the last passes, or points, that were kept.")
    ] = False,
    folder: Annotated[Path, output("Folder of the trained net and the picture.")] = Path(
        "build/dendritic"
    ),
    verbose: Verbose = None,
    json: Json = False,
) -> None:
    """Let dendritic neurons learn mixtures of sounds, and ask them for the sounds."""
    with open_console(json, verbose) as console:
        from spikeloop.cosim.dendrites.run import run, run_figures

        given: dict[str, Any] = {"passes": passes, "trials": trials, "neurons": neurons}
        given |= {"mixtures": names(mixtures), "folder": folder, "resume": resume}
        with console.bar("dendritic", "points" if figures else "passes") as (start, advance):
            given |= {"started": start, "progress": advance}
            if figures:
                document, rows = run_figures(what, seeds=names(seeds), **given)
            else:
                document, rows = run(what, names(backend), every=every, seed=seed, **given)
        console.result(document, rows)
        if document.get("first"):
            complain(f"spikeloop: {document['first']}")
            raise typer.Exit(DIFFERENT)


def zoo(
    nets: Annotated[
        list[str] | None, argument("NET", "Nets to run: {nets}.", default="all")
    ] = None,
    backend: Annotated[
        str,
        option(
            "--backend",
            metavar="NAME",
            help="What runs them, compared with golden: {zoo_backends}.",
        ),
    ] = "verilator",
    samples: Annotated[
        int, option("--samples", metavar="N", help="Test images for each net.")
    ] = 1000,
    data: Data = None,
    anew: Annotated[
        bool, option("--train", help="Train each net anew by its own command first (hours in all).")
    ] = False,
    chip: Annotated[
        str | None,
        option(
            "--chip",
            metavar="PRESET",
            help="Chip preset ({presets}), with changes if any.",
            default="{zoo_chip}",
        ),
    ] = None,
    folder: Annotated[
        Path, output("Folder of runs, trained nets and page. A zoo that was killed goes on there.")
    ] = Path("build/zoo"),
    verbose: Verbose = None,
    json: Json = False,
) -> None:
    """Run the nets of all learning rules through one backend and print one table.

    Every spike and membrane is compared with golden.
    """
    with open_console(json, verbose) as console:
        from spikeloop.cosim.studies.zoo import run

        rows = run(
            nets,
            backend,
            samples,
            data,
            folder,
            chip=chip,
            anew=anew,
            tell=console.tell,
            bar=lambda name: console.bar(name, "images"),
        )
        page = folder / "zoo.html"
        console.table(zoo_table(rows))
        console.result({"rows": rows, "page": str(page)}, {"page": page})
        failures = [f"{row['name']}: {reason}" for row in rows for reason in row["failures"]]
        for failure in failures:
            complain(f"spikeloop: {failure}")
        verdicts = {row["verdict"] for row in rows} - {"equal"}
        if verdicts:  # something that differs goes before something unproven
            raise typer.Exit(min(STATUS[verdict] for verdict in verdicts))


def pim_sweep(
    net: Annotated[
        Path | None,
        option(
            "--net",
            metavar="FILE",
            help="Q-STDB net with a PIM first layer.",
            default="the kept pim-mnist",
        ),
    ] = None,
    data: Data = None,
    study: Annotated[
        str, option("--study", metavar="A,B,...", help="What varies: {studies}.", default="all")
    ] = "",
    seeds: Annotated[int, option("--seeds", metavar="N", help="Devices drawn for each value.")] = 5,
    images: Annotated[
        int, option("--images", metavar="N", help="Test images for each device.")
    ] = 2000,
    rtl_images: Annotated[
        int, option("--rtl-images", metavar="N", help="How many of them run on the RTL too.")
    ] = 10,
    folder: Annotated[
        Path,
        output("Folder of journal, table and picture. What the journal has is not measured again."),
    ] = Path("build/pim-sweep"),
    verbose: Verbose = None,
    json: Json = False,
) -> None:
    """Measure accuracy against the parameters of the PIM macro, on golden and RTL.

    They are ADC bits, rows at once, gain, offset, stuck cells and noise.
    """
    with open_console(json, verbose) as console:
        from spikeloop.cosim.studies.pim.run import run
        from spikeloop.cosim.studies.pim.sweep import STUDIES

        with console.bar("pim-sweep", "devices") as (start, advance):
            document = run(
                net,
                data,
                names(study),
                folder,
                seeds=seeds,
                images=images,
                rtl_images=rtl_images,
                start=start,
                advance=advance,
            )
        curves = {
            STUDIES[name][0]: ", ".join(
                f"{value}: {mean:.2f} ± {sd:.2f}" for value, (mean, sd, _) in points.items()
            )
            for name, points in document["accuracy"].items()
        }
        counts = (
            f"{document['conversions']:,} conversions compared, "
            f"{document['different']:,} differences"
        )
        console.result(document, curves | {"RTL = golden?": counts, "picture": document["picture"]})
        if document["different"]:
            raise typer.Exit(DIFFERENT)
