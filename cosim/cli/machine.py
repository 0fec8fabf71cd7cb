"""The commands about hardware, kept builds and speed: ``spikeloop board``, ``cache``, ``bench``."""

import time
from pathlib import Path
from typing import Annotated

import typer

from spikeloop.cosim.cli.console import DIFFERENT, complain, open_console
from spikeloop.cosim.cli.options import (
    Command,
    Json,
    OtherChip,
    Verbose,
    argument,
    option,
    output,
    positive,
)

__all__ = ["bench", "board", "cache"]

DAY = 86400.0

board = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Hardware in the loop: a chip behind a serial port, real or virtual. "
    "Compare it by: spikeloop compare IMAGE --backends golden,board:PORT",
)


@board.command(cls=Command)
def serve(
    chip: Annotated[
        str, argument("CHIP", "Image folder whose chip is wanted, or a chip preset: {presets}.")
    ],
    port: Annotated[
        int | None,
        option(
            "--port",
            metavar="N",
            within=(0, 65535),
            help="TCP port of this machine, 0 for any free one.",
            default="a pty",
        ),
    ] = None,
    pins: Annotated[
        int | None,
        option(
            "--pins",
            metavar="N",
            help="Simulate the pins of the UART too, N clock cycles a bit (at least 4).",
            default="bytes straight into the host link, many times faster",
        ),
    ] = None,
    verbose: Verbose = None,
    json: Json = False,
) -> None:
    """Be a virtual board: the Verilated RTL behind a serial port, until interrupted.

    The first line says its address.
    """
    with open_console(json, verbose) as console:
        from spikeloop.cosim.board.virtual import BoardModel
        from spikeloop.cosim.board.virtual import serve as run
        from spikeloop.pysim.bundle.open import load_bundle
        from spikeloop.pysim.chip.params import preset

        target = load_bundle(chip).chip if Path(chip).is_dir() else preset(chip)
        run(
            BoardModel(target, pins),
            port,
            lambda address: console.result(
                {"board": address, "chip": target.to_dict()}, {"board": address}
            ),
        )


@board.command(cls=Command)
def build(
    target: Annotated[
        str, option("--target", metavar="NAME", help="Board to build for: {targets}.")
    ] = "ulx3s-85f",
    chip: OtherChip = None,
    folder: Annotated[Path, output("Folder to write.")] = Path("build/board"),
    verbose: Verbose = None,
    json: Json = False,
) -> None:
    """Make a bitstream of a chip behind its host link; say what it takes and how fast it is.

    The chip is the preset of the target's name unless --chip names another.
    """
    with open_console(json, verbose) as console:
        from spikeloop.cosim.board.fpga import build as run
        from spikeloop.cosim.board.fpga import target_of
        from spikeloop.pysim.chip.params import preset

        s = run(target, preset(chip) if chip else None, folder)
        device = f"golden,board:/dev/ttyUSB0@{s['baud']}"
        console.result(
            s,
            {
                "bitstream": f"{s['bitstream']} ({s['bytes']:,} bytes)",
                **{f"  {what}": f"{n:,} of {of:,}" for what, (n, of) in s["used"].items()},
                "fmax": f"{s['fmax_mhz']} MHz (needed: {s['clock_mhz']:g})",
                "program": f"{target_of(target).program} {s['bitstream']}",
                "map for it": f"spikeloop map network.safetensors --chip {chip or target}",
                "run on it": f"spikeloop compare image --backends {device}",
            },
        )


@board.command(cls=Command)
def balance(
    port: Annotated[
        str | None,
        argument("PORT", "Board that runs preset tiny.", default="a virtual one in this process"),
    ] = None,
    steps: Annotated[int, option("--steps", metavar="T", help="Steps of 20 ms.")] = 300,
    seed: Annotated[int, option("--seed", metavar="N", help="Seed of the first state.")] = 0,
    verbose: Verbose = None,
    json: Json = False,
) -> None:
    """Balance a pole by the chip in a closed loop, step for step as by the golden model."""
    with open_console(json, verbose) as console:
        from spikeloop.cosim.board.balance import closed_loop

        loop = closed_loop(port, steps, seed)
        latency = loop["latency_ms"]
        console.result(
            loop,
            {
                "board": loop["nature"],
                "steps": f"{loop['steps']:,} of {steps:,}, {loop['same']:,} as by golden",
                "latency": f"{latency['median']:.2f} ms a step "
                f"(least {latency['least']:.2f}, most {latency['most']:.2f})",
            },
        )
        if not loop["equal"]:
            complain("spikeloop: closed loop must go the same way on golden and board, not apart")
            raise typer.Exit(DIFFERENT)


cache = typer.Typer(
    invoke_without_command=True,
    rich_markup_mode="rich",
    help="List the builds that are kept, or clear them.",
)


@cache.callback()
def listed(context: typer.Context, json: Json = False) -> None:
    """List the builds that are kept: kind, size, age, and the total."""
    if context.invoked_subcommand:
        return
    with open_console(json) as console:
        from spikeloop.cosim.verilator.cache import cache_folder, entries

        kept, folder, now = entries(), cache_folder(), time.time()
        rows = [entry._asdict() | {"age_days": (now - entry.used) / DAY} for entry in kept]
        total = sum(entry.bytes for entry in kept)
        table = {
            row["name"]: f"{row['kind']}, {megabytes(row['bytes'])}, {row['age_days']:.1f} days"
            for row in rows
        }
        console.result(
            {"folder": str(folder), "entries": rows, "bytes": total},
            {"folder": folder, **table, "total": f"{len(rows):,} builds, {megabytes(total)}"},
        )


@cache.command(cls=Command)
def clear(
    older: Annotated[
        float | None,
        option(
            "--older",
            metavar="DAYS",
            callback=positive("--older"),
            help="Only builds that nobody has used for this many days.",
            default="all",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Remove kept builds. What is needed again is built again."""
    with open_console(json) as console:
        from spikeloop.cosim.verilator.cache import clear_unused

        removed, freed = clear_unused(0.0 if older is None else older * DAY)
        console.result(
            {"removed": removed, "bytes": freed},
            {"removed": f"{removed:,} builds, {megabytes(freed)}"},
        )


def megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"


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
        ways |= {
            row["way"]: f"{row['oscillator_steps_per_s']:,.0f} oscillator-steps/s"
            for row in result["oscillators"]
        }
        ways |= {row["way"]: f"{row['steps_per_s']:,.0f} steps/s" for row in result["dendritic"]}
        ratios = {name: f"{ratio:,.2f} x" for name, ratio in result["ratios"].items()}
        console.result(result, ways | ratios | told(result["learning"]))
