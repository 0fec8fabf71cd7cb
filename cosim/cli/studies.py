"""The commands that measure and learn: lesson, learn, onn, bench, zoo and pim-sweep."""

from pathlib import Path
from typing import Annotated, Any

import typer

from spikeloop.cosim.cli.console import DIFFERENT, STATUS, complain, open_console, zoo_table
from spikeloop.cosim.cli.options import (
    Data,
    Json,
    Neurons,
    RuleName,
    Seed,
    Verbose,
    argument,
    names,
    option,
    output,
    positive,
)

__all__ = ["bench", "learn", "lesson", "onn", "pim_sweep", "zoo"]


def lesson(
    what: Annotated[str, argument("LESSON", "iris, mnist, or a lesson's file.")],
    engine: Annotated[
        str,
        option("--engine", metavar="A,B,...", help="Who learns, the reference first: {engines}."),
    ] = "golden,pysim,verilator",
    seed: Annotated[
        int, option("--seed", metavar="N", help="Of iris and mnist: first weights, orders, spikes.")
    ] = 0,
    bits: Annotated[
        int, option("--bits", metavar="N", help="Of iris and mnist: bits of a weight.")
    ] = 16,
    fold: Annotated[
        int, option("--fold", metavar="N", help="Of iris: the group that is tested, 0 to 4.")
    ] = 0,
    passes: Annotated[
        int, option("--passes", metavar="N", help="Of iris: passes over the training flowers.")
    ] = 4,
    rule: RuleName = "alsa",
    neurons: Neurons = 100,
    before: Annotated[
        int,
        option("--before", metavar="N", help="Of mnist: images learnt by pysim before the lesson."),
    ] = 2000,
    images: Annotated[
        int, option("--images", metavar="N", help="Of mnist: images learnt by all engines.")
    ] = 20,
    tests: Annotated[
        int, option("--tests", metavar="N", help="Of mnist: test images, weights frozen.")
    ] = 40,
    data: Data = None,
    resume: Annotated[
        bool, option("--resume", help="Go on behind the last presentation that was kept.")
    ] = False,
    folder: Annotated[Path, output("Folder of the lesson and of what is done.")] = Path(
        "build/lesson"
    ),
    verbose: Verbose = None,
    json: Json = False,
) -> None:
    """Let the chip learn, and compare every weight update of every engine."""
    with open_console(json, verbose) as console:
        from spikeloop.cosim.digits.lesson import run as run_mnist
        from spikeloop.cosim.lessons.run import run

        common: dict[str, Any] = {"seed": seed, "folder": folder, "resume": resume}
        with console.bar("lesson", "presentations") as (start, advance):
            common |= {"started": start, "progress": advance}
            if what == "mnist":
                document, rows = run_mnist(
                    names(engine),
                    rule=rule,
                    neurons=neurons,
                    before=before,
                    images=images,
                    tests=tests,
                    bits=bits,
                    data=data,
                    **common,
                )
            else:
                document, rows = run(
                    what, names(engine), fold=fold, passes=passes, weight_bits=bits, **common
                )
        console.result(document, rows)
        if document["first"]:
            complain(f"spikeloop: {document['first']}")
            raise typer.Exit(DIFFERENT)


def learn(
    rule: RuleName = "alsa",
    neurons: Neurons = 100,
    images: Annotated[
        int, option("--images", metavar="N", help="Training images, each once.")
    ] = 4000,
    label: Annotated[
        int,
        option("--label", metavar="N", help="Training images that label, and teach the output."),
    ] = 4000,
    tests: Annotated[int, option("--tests", metavar="N", help="Images to test with.")] = 1000,
    held: Annotated[
        bool, option("--held", help="Test with the last training images, not with test images.")
    ] = False,
    seed: Seed = 0,
    bits: Annotated[int, option("--bits", metavar="N", help="Bits of a weight.")] = 16,
    reals: Annotated[bool, option("--float", help="In real numbers instead of integers.")] = False,
    data: Data = None,
    resume: Annotated[
        bool, option("--resume", help="Go on behind the last 1,000 images that were kept.")
    ] = False,
    folder: Annotated[Path, output("Folder of the layer, its curve and its picture.")] = Path(
        "build/learn"
    ),
    verbose: Verbose = None,
    json: Json = False,
) -> None:
    """Learn MNIST on pysim's engine, score it, and draw features, curve, thresholds and spikes."""
    with open_console(json, verbose) as console:
        from spikeloop.cosim.digits.learn import run

        with console.bar("learn", "images") as (start, advance):
            document, rows = run(
                rule,
                neurons=neurons,
                train=images,
                label=label,
                test=tests,
                seed=seed,
                bits=None if reals else bits,
                held=held,
                data=data,
                folder=folder,
                resume=resume,
                started=start,
                progress=advance,
            )
        console.result(document, rows)


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
            help="Who recalls; with more than one all are compared with the first: "
            "{oscillator_engines}.",
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


def bench(
    seconds: Annotated[
        float,
        option(
            "--seconds",
            metavar="S",
            callback=positive("--seconds"),
            help="About how long each way is measured.",
        ),
    ] = 3.0,
    brian: Annotated[
        Path | None,
        option(
            "--brian",
            metavar="PYTHON",
            help="A Python with Brian2, for its row; else it is skipped.",
        ),
    ] = None,
    verbose: Verbose = None,
    json: Json = False,
) -> None:
    """Measure ticks per second of every way to run the same work."""
    with open_console(json, verbose) as console:
        from spikeloop.cosim.studies.speed.learning import told
        from spikeloop.cosim.studies.speed.ways import run

        result = run(seconds=seconds, brian=brian, tell=console.tell)
        ways = {
            row["way"]: f"{row['ticks_per_s']:,.0f} ticks/s, {row['sops_per_s']:,.0f} SOPs/s"
            for row in result["rows"]
        }
        ratios = {name: f"{ratio:,.2f} x" for name, ratio in result["ratios"].items()}
        console.result(result, ways | ratios | told(result["learning"]))


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
