"""The command ``spikeloop board``: serve a virtual board, build a real one."""

from pathlib import Path
from typing import Annotated

import typer

from spikeloop.cosim.cli.console import Json, output, tell

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Hardware in the loop: a chip behind a serial port, real or virtual. "
    "Then: spikeloop compare IMAGE --stimulus S.npz --backends golden,board:PORT",
)


@app.command()
def serve(
    chip: Annotated[
        str,
        typer.Argument(
            metavar="IMAGE|PRESET", help="Image folder whose chip is wanted, or a chip preset."
        ),
    ],
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            metavar="N",
            min=0,
            max=65535,
            help="TCP port of this machine, 0 for any free one. [dim]default: a pty[/dim]",
            show_default=False,
        ),
    ] = None,
    pins: Annotated[
        int | None,
        typer.Option(
            "--pins",
            metavar="N",
            help="Simulate the pins of the UART too, N clock cycles a bit "
            "(4 at least). [dim]default: bytes straight into the host link, many times faster[/dim]",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Be a virtual board: the Verilated RTL behind a serial port, until interrupted. The first line says its address."""
    with output(json) as out:
        from spikeloop.cosim.board.virtual import BoardModel
        from spikeloop.cosim.board.virtual import serve as run
        from spikeloop.pysim.chip.params import preset
        from spikeloop.pysim.image.image import Image

        target = Image.load(chip).chip if Path(chip).is_dir() else preset(chip)
        tell("building the virtual board ...")
        model = BoardModel(target, pins)
        run(
            model,
            port,
            lambda address: out({"board": address, "chip": target.to_dict()}, {"board": address}),
        )


@app.command()
def build(
    target: Annotated[
        str, typer.Option("--target", metavar="NAME", help="ulx3s-85f or hx8k.")
    ] = "ulx3s-85f",
    chip: Annotated[
        str | None,
        typer.Option(
            "--chip",
            metavar="PRESET",
            help="Chip preset with changes. [dim]default: the preset named like the target[/dim]",
            show_default=False,
        ),
    ] = None,
    folder: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")] = Path(
        "build/board"
    ),
    json: Json = False,
) -> None:
    """Make a bitstream of a chip behind its host link, and say what it takes of the device and how fast it is."""
    with output(json) as out:
        from spikeloop.cosim.board.fpga import build as run
        from spikeloop.cosim.board.fpga import target_of
        from spikeloop.pysim.chip.params import preset

        board = target_of(target)
        tell("synthesis, placement and routing: minutes ...")
        s = run(target, preset(chip) if chip else None, folder)
        out(
            s,
            {
                "bitstream": f"{s['bitstream']} ({s['bytes']:,} bytes)",
                **{f"  {what}": f"{n:,} of {of:,}" for what, (n, of) in s["used"].items()},
                "fmax": f"{s['fmax_mhz']} MHz (needed: {s['clock_mhz']:g})",
                "program": f"{board.program} {s['bitstream']}",
                "map for it": f"spikeloop map network.safetensors --chip {chip or target}",
                "run on it": f"spikeloop compare image --backends golden,board:/dev/ttyUSB0@{s['baud']}",
            },
        )


@app.command("balance")
def balance_(
    port: Annotated[
        str | None,
        typer.Argument(
            metavar="PORT",
            help="Board that runs preset tiny. [dim]default: a virtual one in this process[/dim]",
            show_default=False,
        ),
    ] = None,
    steps: Annotated[
        int, typer.Option("--steps", metavar="T", min=1, max=65536, help="Steps of 20 ms.")
    ] = 300,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Seed of the first state.")] = 0,
    json: Json = False,
) -> None:
    """Closed loop: balance a pole by the chip, step for step as by the golden; the latency of a step."""
    with output(json) as out:
        import numpy as np

        from spikeloop.cosim.board.balance import balance, by_board, by_golden, controller
        from spikeloop.cosim.board.link import Board, open_board
        from spikeloop.cosim.board.session import Session
        from spikeloop.cosim.board.virtual import BoardModel, Wire
        from spikeloop.pysim.chip.params import preset
        from spikeloop.pysim.image.image import pack

        network = controller(steps)
        image = pack(network, chip=preset("tiny"))
        board = (
            open_board(port, image) if port else Board(Session(Wire(BoardModel(image.chip))), image)
        )
        with board:
            got, want = (
                balance(by_board(board.link, image), steps, seed),
                balance(by_golden(network), steps, seed),
            )
        same = sum(a == b for a, b in zip(got.spikes, want.spikes, strict=False))
        equal = same == len(got.spikes) == len(want.spikes) and np.array_equal(
            got.states, want.states
        )
        low, middle, high = (1e3 * float(np.quantile(got.seconds, q)) for q in (0, 0.5, 1))
        document = {
            "nature": board.nature,
            "steps": len(got.spikes),
            "fallen": len(got.spikes) < steps,
            "equal": equal,
            "latency_ms": {"least": low, "median": middle, "most": high},
        }
        out(
            document,
            {
                "board": board.nature,
                "steps": f"{len(got.spikes):,} of {steps:,}, {same:,} as by golden",
                "latency": f"{middle:.2f} ms a step (least {low:.2f}, most {high:.2f})",
            },
        )
        if not equal:
            tell("spikeloop: closed loop must go the same way on golden and board, not apart")
            raise typer.Exit(1)
