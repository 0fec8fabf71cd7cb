"""The command ``spikeloop``: train, quantize, map, fit, cost, verilog, sim, compare, report, waves, export, bench, board, pim-sweep, zoo.

Exit status: 0 equal (or done), 1 different (or a run that proves nothing: a silent population, dropped events), 2 bad input, 130
interrupted. Bad input is one sentence on stderr, ``spikeloop: <thing> must be <requirement>, not <value>``. With ``--json`` stdout
holds one JSON document and nothing else; progress and tables go to stderr. Heavy packages are imported where they are needed.
"""

import json as json_text
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from spikeloop.cosim.cli import board as cli_board
from spikeloop.cosim.cli import compare as cli_compare
from spikeloop.cosim.cli import imports as cli_import
from spikeloop.cosim.cli import map as cli_cost
from spikeloop.cosim.cli import widths as cli_widths
from spikeloop.cosim.cli import zoo as cli_zoo
from spikeloop.cosim.cli.compare import Backends, Samples, beside, rows, verdict
from spikeloop.cosim.cli.console import Bits, ChipName, Json, bar, names
from spikeloop.cosim.cli.console import output as _output
from spikeloop.cosim.cli.console import tell as _tell
from spikeloop.pysim.common.errors import InputError

__all__ = ["app", "main"]

ClickException: type[Exception] = typer.BadParameter.__mro__[
    2
]  # click's, wherever typer keeps click

app = typer.Typer(
    name="spikeloop",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Train a spiking network in PyTorch, and know that the chip will do exactly what the model did.",
    epilog="Exit status: 0 equal or done, 1 different, 2 bad input. The walk through all of it: spikeloop sim",
)

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="Folder with the four MNIST IDX files, gzipped or not. "
        "[dim]default: the 5,000 embedded images[/dim]",
        show_default=False,
    ),
]
Config = Annotated[
    str, typer.Option("--config", metavar="N-N-N", help="Layer sizes, inputs first.")
]
Encoding = Annotated[
    str,
    typer.Option(
        "--encoder",
        metavar="NAME",
        help="rank_order, rate, level_crossing, bit_planes or sequence.",
    ),
]
Steps = Annotated[int, typer.Option("--steps", metavar="T", help="Steps of one sample.")]
Epochs = Annotated[
    int | None,
    typer.Option(
        "--epochs",
        metavar="N",
        help="Passes over the training images. "
        "[dim]default: what about 9,000 updates take, 15 to 60[/dim]",
        show_default=False,
    ),
]
Seed = Annotated[
    int, typer.Option("--seed", metavar="N", help="Seed of weights and order of images.")
]
Recurrent = Annotated[
    bool, typer.Option("--recurrent", help="Lateral synapses in every hidden layer.")
]

app.command()(cli_compare.compare)
app.command()(cli_compare.report)
app.command()(cli_compare.waves)
app.command()(cli_zoo.pretrained)
app.command()(cli_zoo.zoo)


@app.command()
def train(
    output: Annotated[Path, typer.Option("--output", "-o", help="Float net to write.")] = Path(
        "float.safetensors"
    ),
    config: Config = "784-100-10",
    data: DataDir = None,
    encoder: Encoding = "rank_order",
    steps: Steps = 8,
    epochs: Epochs = None,
    seed: Seed = 0,
    recurrent: Recurrent = False,
    json: Json = False,
) -> None:
    """Train a float net on MNIST with the surrogate gradient and score it on the test images.

    A training that was killed goes on from OUTPUT.training when it is started again.
    """
    with _output(json) as out:
        from spikeloop.cosim.flow.plan import parse_layers
        from spikeloop.golden.data.datasets import load_mnist
        from spikeloop.golden.data.encoders import Encoder
        from spikeloop.golden.training.train import TrainConfig
        from spikeloop.golden.training.train import train as fit
        from spikeloop.pysim.common.files import writable

        settings = TrainConfig(
            layers=parse_layers(config),
            recurrent=recurrent,
            encoder=Encoder(name=encoder, steps=steps),
            epochs=epochs,
            seed=seed,
        )
        writable(output.parent)
        checkpoint = output.with_name(f"{output.name}.training")
        net = fit(settings, load_mnist(data), checkpoint=checkpoint, progress=not json)
        net.save(output)
        checkpoint.unlink()
        score = net.metadata["accuracy_float"]
        out(
            {
                "float_net": str(output),
                "accuracy": {"float": score},
                "dataset": net.metadata["dataset"],
            },
            {
                "float net": output,
                "trained on": net.metadata["dataset"]["source"],
                "accuracy": f"{score:.2%}",
            },
        )


@app.command()
def quantize(
    float_net: Annotated[Path, typer.Argument(help="Float net of spikeloop train.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Integer network to write.")
    ] = Path("network.safetensors"),
    bits: Bits = 8,
    data: DataDir = None,
    scale: Annotated[
        str,
        typer.Option(
            "--scale",
            metavar="NAME",
            help="plain (2^(bits-1), as in BPSR), or the best scale per layer or neuron.",
        ),
    ] = "layer",
    leak_terms: Annotated[
        int | None,
        typer.Option(
            "--leak-terms",
            metavar="N",
            help="Shift-add terms of a leak, 0 to 3. [dim]default: the nearest 2^-m[/dim]",
            show_default=False,
        ),
    ] = None,
    membrane_bits: Annotated[
        int,
        typer.Option(
            "--membrane-bits",
            metavar="N",
            help="Bits of a membrane on the chip, 8 to 32 (ulx3s-85f: 16).",
        ),
    ] = 24,
    target_drop: Annotated[
        float | None,
        typer.Option(
            "--target-drop",
            metavar="POINTS",
            help="Take the narrowest weights, of at "
            "most --bits, that lose no more accuracy than that, for each layer.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Round a float net to integers and shift leaks, and say per layer what that did to it."""
    with _output(json) as out:
        from spikeloop.cosim.stages.quantize import quantize_net
        from spikeloop.golden.data.datasets import load_mnist
        from spikeloop.golden.nets.layers import FloatNet
        from spikeloop.pysim.common.files import writable

        net, images = FloatNet.load(float_net), load_mnist(data)
        writable(output.parent)
        report = quantize_net(
            net,
            images,
            output,
            bits=bits,
            target_drop=target_drop,
            scale=scale,
            leak_terms=leak_terms,
            membrane_bits=membrane_bits,
        )
        scores = report["accuracy"]
        out(
            {"network": str(output), "report": report},
            {
                "network": output,
                "on": report["samples"],
                "bits": report["bits"],
                "accuracy": f"float {scores['float']:.2%}, integer {scores['integer']:.2%}",
                **{f"  {row['name']}": _ptq(row) for row in report["layers"]},
            },
        )


@app.command("map")
def map_(
    network: Annotated[Path, typer.Argument(help="Integer network of spikeloop quantize.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Image folder to write.")] = Path(
        "image"
    ),
    chip: ChipName = "zou2021",
    json: Json = False,
) -> None:
    """Place a network on the chip's core and pack the image bundle; on many cores that take turns if one does not hold it, or on the
    cores of a mesh (--chip tiny,mesh_width=2,mesh_height=2)."""
    with _output(json) as out:
        from spikeloop.pysim.bundle.open import map_network
        from spikeloop.pysim.chip.params import preset
        from spikeloop.pysim.cost.figures import figures
        from spikeloop.pysim.image.image import Image
        from spikeloop.pysim.mapping.placement import describe
        from spikeloop.pysim.network.graph import Network

        target = preset(chip)
        bundle = map_network(Network.load(network), target)
        bundle.save(output)
        result = figures(bundle)
        document = {"image": str(output), "chip": target.to_dict(), **result.to_dict()}
        if isinstance(bundle, Image):
            document["layers"] = layers = describe(bundle.placement)
            more = {
                row["layer"]: f"{row['neurons']:,} neurons, {row['axons']:,} axons, "
                f"{row['columns']:,} columns, {row['words']:,} words"
                for row in layers
            }
        else:
            more = {name: f"{count:,} cores" for name, count in result.cores_of.items()}
        out(
            document,
            {"image": output, "chip": chip, **result.text()}
            | {f"  {name}": text for name, text in more.items()},
        )


app.command()(cli_cost.fit)
app.command()(cli_cost.cost)


@app.command()
def verilog(
    image: Annotated[
        Path | None, typer.Argument(help="Image folder whose chip is wanted.", show_default=False)
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to.")] = Path(
        "rtl"
    ),
    chip: Annotated[
        str | None,
        typer.Option(
            "--chip",
            metavar="PRESET",
            help="Or a chip preset: tiny, default, zou2021 or full.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Write the Verilog of a chip."""
    with _output(json) as out:
        from spikeloop.cosim.stages.verilog import write_verilog
        from spikeloop.pysim.bundle.open import load_bundle
        from spikeloop.pysim.chip.params import preset

        if (image is None) == (chip is None):
            raise InputError(
                f"chip must be given once, by an image folder or by --chip, not {'twice' if chip else 'never'}"
            )
        target = preset(chip) if chip else load_bundle(image or "").chip
        files = write_verilog(target, output)
        out(
            {"files": [str(f) for f in files], "chip": target.to_dict()},
            {"Verilog": ", ".join(map(str, files))},
        )


@app.command()
def sim(
    config: Config = "784-100-10",
    bits: Bits = 8,
    chip: ChipName = "zou2021",
    data: DataDir = None,
    backends: Backends = "golden,pysim,verilator",
    samples: Samples = None,
    encoder: Encoding = "rank_order",
    steps: Steps = 8,
    epochs: Epochs = None,
    seed: Seed = 0,
    recurrent: Recurrent = False,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of all that is made.")
    ] = Path("build/sim"),
    json: Json = False,
) -> None:
    """Train, quantize, map, generate, simulate and compare, in one folder; what is unchanged is kept."""
    with _output(json) as out:
        from spikeloop.cosim.flow.plan import Plan, parse_layers
        from spikeloop.cosim.flow.sim import simulate

        plan = Plan(
            layers=parse_layers(config),
            bits=bits,
            chip=chip,
            data=data,
            backends=names(backends),
            samples=samples,
            folder=output,
            encoder=encoder,
            steps=steps,
            epochs=epochs,
            seed=seed,
            recurrent=recurrent,
        )
        with bar() as (start, advance):
            outcome = simulate(plan, tell=_tell, progress=advance, started=start, quiet=json)
        s = outcome.summary
        times = (
            f"{name} {stage['seconds']:.1f} s{' (kept)' if stage['reused'] else ''}"
            for name, stage in s["stages"].items()
        )
        out(s, {**rows(s), "wall time": ", ".join(times), "report": output / "report.html"})
        verdict(outcome.result, outcome.evidence)


@app.command()
def export(
    image: Annotated[Path, typer.Argument(help="Image folder.")],
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="NAME",
            help="mem, hex (Intel HEX), coe, mif or bin; nir: the network "
            "in or beside the image folder, for other tools.",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to.")] = Path(
        "export"
    ),
    json: Json = False,
) -> None:
    """Write the image's memories in another form, or its network as NIR."""
    with _output(json) as out:
        from spikeloop.pysim.bundle.open import load_bundle
        from spikeloop.pysim.bundle.shares import Shared
        from spikeloop.pysim.image.export import export as write

        if form == "nir":
            from spikeloop.golden.interchange.nir.write import export_nir
            from spikeloop.pysim.network.graph import Network

            files = [
                export_nir(
                    Network.load(beside(image, "network.safetensors", "a folder that holds it")),
                    output / "network.nir",
                )
            ]
        else:
            bundle = load_bundle(image)
            if isinstance(bundle, Shared):
                images = {
                    output / f"{bundle.each}{n}": share.image for n, share in bundle.shares.items()
                }
            else:
                images = {output: bundle}
            files = [file for folder, one in images.items() for file in write(one, form, folder)]
        out(
            {"files": [str(f) for f in files], "format": form},
            {"written": f"{len(files)} files to {output}"},
        )


@app.command()
def bench(
    seconds: Annotated[
        float, typer.Option("--seconds", metavar="S", help="About how long each way is measured.")
    ] = 3.0,
    json: Json = False,
) -> None:
    """Measure ticks per second of every way to run the same work."""
    with _output(json) as out:
        from spikeloop.cosim.studies.speed.ways import run

        result = run(seconds=seconds, tell=_tell)
        out(
            result,
            {
                row["way"]: f"{row['ticks_per_s']:,.0f} ticks/s, {row['sops_per_s']:,.0f} SOPs/s"
                for row in result["rows"]
            }
            | {name: f"{ratio:,.2f} x" for name, ratio in result["ratios"].items()},
        )


@app.command("pim-sweep")
def pim_sweep(
    net: Annotated[
        Path | None,
        typer.Option(
            "--net",
            metavar="FILE",
            help="Q-STDB net with a PIM first layer. [dim]default: the kept pim-mnist[/dim]",
            show_default=False,
        ),
    ] = None,
    data: DataDir = None,
    study: Annotated[
        str,
        typer.Option(
            "--study",
            metavar="A,B,...",
            help="adc_bits, active_rows, gain, offset, stuck, noise. [dim]default: all[/dim]",
            show_default=False,
        ),
    ] = "",
    seeds: Annotated[
        int, typer.Option("--seeds", metavar="N", help="Devices drawn for each value.")
    ] = 5,
    images: Annotated[
        int, typer.Option("--images", metavar="N", help="Test images for each device.")
    ] = 2000,
    rtl_images: Annotated[
        int, typer.Option("--rtl-images", metavar="N", help="Of these, run on the RTL too.")
    ] = 10,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="Folder of journal, table and picture; what is in the journal "
            "is not measured again.",
        ),
    ] = Path("build/pim-sweep"),
    json: Json = False,
) -> None:
    """Measure accuracy against ADC bits, rows at once, gain, offset, stuck cells and noise of the PIM macro, on golden and RTL."""
    with _output(json) as out:
        from spikeloop.cosim.studies.pim.plot import draw, summary
        from spikeloop.cosim.studies.pim.sweep import STUDIES, points, sweep
        from spikeloop.golden.data.datasets import check_scoring, load_mnist
        from spikeloop.golden.rules.qstdb.net import QstdbNet, checkpoint
        from spikeloop.pysim.common.files import write_atomic

        model, mnist = QstdbNet.load(net) if net else checkpoint(), load_mnist(data)
        check_scoring(model.metadata.get("dataset", {}).get("source", ""), mnist)
        wanted = points(seeds, tuple(names(study)) or tuple(STUDIES))
        with bar("pim-sweep", "devices") as (start, advance):
            start(len(wanted))
            found = sweep(
                model,
                mnist,
                wanted,
                output / "journal.jsonl",
                images=images,
                rtl_images=rtl_images,
                advance=advance,
            )
        table, different = summary(found, images), sum(r["different"] for r in found)
        picture = write_atomic(output / "pim-sweep.svg", draw(table, images))
        document = {
            "images": images,
            "seeds": seeds,
            "conversions": sum(r["conversions"] for r in found),
            "different": different,
            "accuracy": {
                name: {f"{value:g}": cells for value, cells in rows.items()}
                for name, rows in table.items()
            },
        }
        write_atomic(output / "pim-sweep.json", json_text.dumps(document, indent=1).encode())
        out(
            document | {"picture": str(picture)},
            {
                **{
                    STUDIES[name][0]: ", ".join(
                        f"{value:g}: {mean:.2f} ± {sd:.2f}"
                        for value, (mean, sd, _) in sorted(rows.items())
                    )
                    for name, rows in table.items()
                },
                "RTL = golden?": f"{document['conversions']:,} conversions compared, {different:,} differences",
                "picture": picture,
            },
        )
        if different:
            raise typer.Exit(1)


app.command()(cli_widths.widths)
app.add_typer(cli_import.app, name="import")
app.add_typer(cli_board.app, name="board")


def _ptq(row: dict[str, Any]) -> str:
    return (
        f"{row['weights']:,} weights: {row['clipped']:,} clipped, {row['zeroed']:,} zeroed; {row['neurons']:,} neurons: "
        f"{row['silent']:,} silent, {row['always']:,} always firing, {row['saturations']:,} saturations; "
        f"{row['spikes_float']:.1f} -> {row['spikes']:.1f} spikes a sample"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point; ends the process with the exit status."""
    try:
        status = (
            app(
                list(arguments) if arguments is not None else None,
                prog_name="spikeloop",
                standalone_mode=False,
            )
            or 0
        )
    except InputError as error:
        _tell(f"spikeloop: {error}")
        status = 2
    except (
        TimeoutError,
        ConnectionError,
    ) as error:  # a chip that hangs or a board that goes does not do what the model did
        _tell(f"spikeloop: {error}")
        status = 1
    except ClickException as error:
        context = getattr(error, "ctx", None)
        if text := getattr(error, "format_message", error.__str__)():
            _tell(
                f"spikeloop: {text.rstrip('.')}: see {context.command_path if context else 'spikeloop'} --help"
            )
        status = 2
    except (KeyboardInterrupt, typer.Abort):
        _tell("spikeloop: interrupted")
        status = 130
    except BrokenPipeError:  # the reader of stdout has gone
        sys.stderr.close()
        status = 141
    sys.exit(status)


if __name__ == "__main__":
    main()
