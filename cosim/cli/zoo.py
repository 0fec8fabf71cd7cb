"""The commands ``spikeloop pretrained`` and ``spikeloop zoo``: one kept net for a walk of one's own, or all of them in one table."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from spikeloop.cosim.cli.console import Json, bar, output, tell

__all__ = ["pretrained", "zoo"]

Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="Folder with the four MNIST IDX files, gzipped or not. "
        "[dim]default: the 5,000 embedded images, which the nets were trained on: no score[/dim]",
        show_default=False,
    ),
]


def pretrained(
    net: Annotated[
        str,
        typer.Argument(
            metavar="NET",
            help="zou-lenet-4, zou-lenet-2 or zou-lenet-1: the LeNet of Zou et al. "
            "with so many spikes per value; pim-mnist: a net whose first layer is a PIM macro; "
            "or another net of spikeloop zoo.",
        ),
    ] = "zou-lenet-4",
    folder: Annotated[
        Path,
        typer.Option("--output", "-o", help="Folder for network.safetensors and stimulus.npz."),
    ] = Path("build/lenet"),
    data: Data = None,
    samples: Annotated[
        int | None,
        typer.Option(
            "--samples",
            metavar="N",
            help="Only the first N samples. [dim]default: all[/dim]",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Write a trained net that comes with the package, and test images encoded as its stimulus."""
    with output(json) as out:
        from spikeloop.cosim.flow.pretrained import write_pretrained
        from spikeloop.pysim.common.files import writable

        writable(folder)
        network, stimulus = write_pretrained(net, data, samples, folder)
        sizes = {n.name: n.size for n in network.inputs} | {
            p.name: p.size for p in network.populations
        }
        if head := network.pim_head:
            sizes = {head.name: head.pixels} | sizes
        scored = (
            "labelled"
            if stimulus.labels is not None
            else "without labels: the net may have been trained on them"
        )
        out(
            {
                "network": str(folder / "network.safetensors"),
                "stimulus": str(folder / "stimulus.npz"),
                "samples": stimulus.samples,
                "sizes": sizes,
            },
            {
                "network": folder / "network.safetensors",
                "stimulus": folder / "stimulus.npz",
                "samples": f"{stimulus.samples:,} ({scored})",
                **{f"  {name}": f"{size:,}" for name, size in sizes.items()},
            },
        )


def zoo(
    nets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NET", help="Nets to run. [dim]default: all kept ones[/dim]", show_default=False
        ),
    ] = None,
    backend: Annotated[
        str,
        typer.Option(
            "--backend",
            metavar="NAME",
            help="What runs them, compared with golden: verilator, icarus or pysim.",
        ),
    ] = "verilator",
    samples: Annotated[
        int, typer.Option("--samples", metavar="N", help="Test images for each net.")
    ] = 1000,
    data: Data = None,
    anew: Annotated[
        bool,
        typer.Option(
            "--train", help="Train each net anew by its own command first (hours in all)."
        ),
    ] = False,
    chip: Annotated[
        str | None,
        typer.Option(
            "--chip",
            metavar="PRESET",
            help="Chip preset with changes. [dim]default: full,extension=4[/dim]",
            show_default=False,
        ),
    ] = None,
    folder: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Folder of runs, trained nets and page; a zoo that was killed goes on there.",
        ),
    ] = Path("build/zoo"),
    json: Json = False,
) -> None:
    """Run the nets of all learning rules through one backend, compare every spike and membrane with golden, print one table."""
    with output(json) as out:
        from spikeloop.cosim.flow.pretrained import kept, load
        from spikeloop.cosim.studies.zoo import CHIP, check_backend, row, train, write_page
        from spikeloop.golden.data.datasets import load_mnist
        from spikeloop.pysim.common.files import writable

        names, images = check_backend(backend), load_mnist(data)
        found = [load(name) for name in nets or kept()]
        writable(folder)
        rows = []
        for net in found:
            if anew:
                tell(f"{net.name}: training ...")
                net = load(net.name, train(net, data, folder / "nets"))
            with bar(net.name, "images") as (start, advance):
                start(samples)
                rows.append(
                    row(net, images, samples, names, folder, chip=chip or CHIP, progress=advance)
                )
            write_page(rows, folder / "zoo.html")
        _print(rows, json)
        out({"rows": rows, "page": str(folder / "zoo.html")}, {"page": folder / "zoo.html"})
        for r in rows:
            for reason in r["failures"]:
                tell(f"spikeloop: {r['name']}: {reason}")
        if any(r["failures"] for r in rows):
            raise typer.Exit(1)


def _print(rows: list[dict], json: bool) -> None:
    table = Table(box=None, pad_edge=False)
    for name in (
        "net",
        "rule",
        "float",
        "integer",
        "RTL",
        "synapses",
        "spikes",
        "SOPs",
        "cycles",
        "nJ",
        "neuron-ticks",
        "different",
    ):
        table.add_column(name, justify="left" if name in ("net", "rule") else "right", no_wrap=True)
    for r in rows:
        score = [
            "-" if r["accuracy"][key] is None else f"{r['accuracy'][key]:.2%}"
            for key in ("float", "all", "rtl")
        ]
        table.add_row(
            r["name"],
            r["rule"],
            *score,
            *(f"{r[key]:,.0f}" for key in ("synapses", "spikes", "sops", "cycles")),
            f"{1e9 * r['energy']:,.1f}",
            f"{r['neuron_ticks']:,}",
            f"{r['different']:,}",
        )
    Console(stderr=json, highlight=False, width=160).print(table)
