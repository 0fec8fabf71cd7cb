"""The command ``spikeloop board``: serve a virtual board, build a real one."""

from pathlib import Path
from typing import Annotated

import typer

from cosim.console import Json, output, tell

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", help="Hardware in the loop: a chip behind a serial port, real or virtual. "
                  "Then: spikeloop compare IMAGE --stimulus S.npz --backends golden,board:PORT")


@app.command()
def serve(chip: Annotated[str, typer.Argument(metavar="IMAGE|PRESET", help="Image folder whose chip is wanted, or a chip preset.")],
          port: Annotated[int | None, typer.Option("--port", metavar="N", min=0, max=65535, help="TCP port of this machine, 0 for any "
                                                   "free one. [dim]default: a pty[/dim]", show_default=False)] = None,
          pins: Annotated[int | None, typer.Option("--pins", metavar="N", help="Simulate the pins of the UART too, N clock cycles a bit "
                                                   "(4 at least). [dim]default: bytes straight into the host link, many times faster[/dim]",
                                                   show_default=False)] = None, json: Json = False) -> None:
    """Be a virtual board: the Verilated RTL behind a serial port, until interrupted. The first line says its address."""
    with output(json) as out:
        from cosim.virtual import BoardModel
        from cosim.virtual import serve as run
        from pysim.image import Image
        from pysim.params import preset

        target = Image.load(chip).chip if Path(chip).is_dir() else preset(chip)
        tell("building the virtual board ...")
        model = BoardModel(target, pins)
        run(model, port, lambda address: out({"board": address, "chip": target.to_dict()}, {"board": address}))
