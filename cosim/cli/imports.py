"""The commands ``spikeloop import``: networks of other tools."""

from pathlib import Path
from typing import Annotated, Any

import typer

from spikeloop.cosim.cli.console import Bits, ChipName, Json
from spikeloop.cosim.cli.console import output as _output

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Networks from elsewhere: network, image, stimulus and expected "
    "spikes in one folder, for spikeloop compare.",
)

Folder = Annotated[Path, typer.Option("-o", "--folder", metavar="OUT", help="Folder to write.")]
Steps = Annotated[
    int, typer.Option("--steps", metavar="T", min=1, max=65536, help="Steps of one sample.")
]


@app.command()
def ranc(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="Folder of csram_*.mem, tc_*.mem and, for a test, tb_*.txt."
        ),
    ],
    grid: Annotated[
        str | None,
        typer.Option(
            "--grid",
            metavar="WxH",
            help="Cores of the mesh. [dim]default: of tb_spikehard_params.json[/dim]",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            metavar="X,Y",
            help="Where the output bus is. [dim]default: of tb_spikehard_params.json[/dim]",
            show_default=False,
        ),
    ] = None,
    first_tick: Annotated[
        int | None,
        typer.Option(
            "--first-tick",
            metavar="N",
            help="Tick of the first expected outputs.",
            show_default=False,
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            metavar="T",
            min=1,
            max=65536,
            help="Ticks of a sample. [dim]default: what the test packets take[/dim]",
            show_default=False,
        ),
    ] = None,
    chip: Annotated[
        str | None,
        typer.Option(
            "--chip",
            metavar="PRESET",
            help="Chip preset, with changes if any. [dim]default: one that holds a RANC core[/dim]",
            show_default=False,
        ),
    ] = None,
    folder: Folder = Path("build/ranc"),
    json: Json = False,
) -> None:
    """RANC networks, with their test packets if they are there."""
    with _output(json) as out:
        from spikeloop.cosim.flow.imports import chip_for, pair, write_import
        from spikeloop.golden.interchange.ranc.read import import_ranc

        made = import_ranc(
            source,
            grid=pair(grid, "x", "--grid"),
            output=pair(output, ",", "--output"),
            first_tick=first_tick,
            steps=steps,
        )
        summary = write_import(made, chip or chip_for(made.network, made.axons), folder)
        out(summary, _imported(summary))


@app.command()
def nir(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="NIR file (HDF5).")],
    dt: Annotated[
        float | None,
        typer.Option(
            "--dt",
            metavar="S",
            help="Time of a step. [dim]default: of the metadata, else "
            "1e-4 with time constants, 1 without[/dim]",
            show_default=False,
        ),
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option(
            "--compare",
            metavar="OP",
            help="'>' or '>='. [dim]default: of the metadata, else >[/dim]",
            show_default=False,
        ),
    ] = None,
    reset: Annotated[
        str | None,
        typer.Option(
            "--reset",
            metavar="NAME",
            help="hard, soft, late (soft, one step later) or none. "
            "[dim]default: of the metadata, else hard[/dim]",
            show_default=False,
        ),
    ] = None,
    framework: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="NAME",
            help="What the file does not say is as in snntorch, spikingjelly, norse or sinabs.",
            show_default=False,
        ),
    ] = None,
    steps: Steps = 32,
    bits: Bits = 8,
    chip: ChipName = "zou2021",
    folder: Folder = Path("build/nir"),
    json: Json = False,
) -> None:
    """NIR graphs: Affine, Linear, Conv1d, Conv2d, SumPool2d, AvgPool2d, Flatten, IF, LIF, I, LI, recurrent ones too."""
    with _output(json) as out:
        from spikeloop.cosim.flow.imports import write_import
        from spikeloop.golden.interchange.nir.read import import_nir as read
        from spikeloop.golden.interchange.nir.semantics import Semantics

        summary = write_import(
            read(source, Semantics(dt, compare, reset, framework), steps=steps, bits=bits),
            chip,
            folder,
        )
        out(summary, _imported(summary))


@app.command()
def snntorch(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE.py:NAME",
            help="Python file, which is run, and what it calls the net or "
            "the function that makes it.",
        ),
    ],
    shape: Annotated[
        str | None,
        typer.Option(
            "--shape",
            metavar="C,H,W",
            help="Of one input. [dim]default: of the first Linear[/dim]",
            show_default=False,
        ),
    ] = None,
    steps: Steps = 32,
    bits: Bits = 8,
    chip: ChipName = "zou2021",
    folder: Folder = Path("build/snntorch"),
    json: Json = False,
) -> None:
    """snnTorch nets: Linear, Conv1d, Conv2d, AvgPool2d, Flatten and Leaky, one after the other; every reset and both reset delays."""
    with _output(json) as out:
        from spikeloop.cosim.flow.imports import module_of, sizes, write_import
        from spikeloop.golden.interchange.snntorch import import_snntorch

        made = import_snntorch(
            module_of(source),
            sizes(shape),
            steps=steps,
            bits=bits,
            name=Path(source.rpartition(":")[0]).stem,
        )
        summary = write_import(made, chip, folder)
        out(summary, _imported(summary))


def _imported(s: dict[str, Any]) -> dict[str, Any]:
    """The table of an import: what was written, then all that was assumed."""
    return {
        "written": s["image"],
        "chip": s["chip"],
        "cores": s["cores"],
        "steps": s["steps"],
        **{f"  {name}": f"{size:,}" for name, size in s["sizes"].items()},
        "assumed": "",
        **{f"  {a['what']}": f"{a['value']} ({a['why']})" for a in s["assumed"]},
    }
