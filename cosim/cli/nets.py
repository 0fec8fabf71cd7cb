"""The commands that give a network: train, quantize, widths, pretrained, and lesson and learn."""

from pathlib import Path
from typing import Annotated, Any

import typer

from spikeloop.cosim.cli.console import DIFFERENT, complain, open_console
from spikeloop.cosim.cli.options import (
    Bits,
    Config,
    Data,
    Encoding,
    Epochs,
    Json,
    Neurons,
    Recurrent,
    RuleName,
    Samples,
    Seed,
    Steps,
    Verbose,
    argument,
    names,
    option,
    output,
)

__all__ = ["learn", "lesson", "pretrained", "quantize", "train", "widths"]

FloatNetFile = Annotated[
    Path, argument("FLOAT", "Float net of spikeloop train, or the folder of an import.")
]
Scale = Annotated[
    str | None,
    option(
        "--scale",
        metavar="NAME",
        help="How weights are scaled: {scales}. layer takes the best scale of each layer, "
        "plain takes 2^(bits-1).",
        default="layer",
    ),
]


def train(
    file: Annotated[Path, output("Float net to write.", "FILE")] = Path("float.safetensors"),
    config: Config = "784-100-10",
    data: Data = None,
    encoder: Encoding = "rank_order",
    steps: Steps = 8,
    epochs: Epochs = None,
    seed: Seed = 0,
    recurrent: Recurrent = False,
    device: Annotated[
        str, option("--device", metavar="NAME", help="Where torch trains; here {devices}.")
    ] = "cpu",
    verbose: Verbose = None,
    json: Json = False,
) -> None:
    """Train a float net on MNIST with the surrogate gradient and score it on the test images.

    A training that was killed goes on from FILE.training when it is started again.
    """
    with open_console(json, verbose) as console:
        from spikeloop.cosim.flow.plan import parse_layers
        from spikeloop.cosim.stages.images import Images
        from spikeloop.cosim.stages.train import make

        note = make(
            output=file,
            images=Images(data),
            checkpoint=file.with_name(f"{file.name}.training"),
            progress=not (json or console.quiet),
            layers=parse_layers(config),
            encoder=encoder,
            steps=steps,
            epochs=epochs,
            seed=seed,
            recurrent=recurrent,
            device=device,
        )
        score, dataset = note["accuracy"], note["dataset"]
        console.result(
            {"float_net": str(file), "accuracy": {"float": score}, "dataset": dataset},
            {"float net": file, "trained on": dataset["source"], "accuracy": f"{score:.2%}"},
        )


def quantize(
    float_net: FloatNetFile,
    file: Annotated[Path, output("Integer network to write.", "FILE")] = Path(
        "network.safetensors"
    ),
    bits: Bits = 8,
    data: Data = None,
    scale: Scale = None,
    leak_terms: Annotated[
        int | None,
        option(
            "--leak-terms",
            metavar="N",
            help="Shift-add terms of a leak, 0 to 3.",
            default="the nearest 2^-m",
        ),
    ] = None,
    membrane_bits: Annotated[
        int | None,
        option(
            "--membrane-bits",
            metavar="N",
            help="Bits of a membrane on the chip, 8 to 32 (ulx3s-85f: 16).",
            default="24",
        ),
    ] = None,
    target_drop: Annotated[
        float | None,
        option(
            "--target-drop",
            metavar="POINTS",
            help="For each layer, take the narrowest weights that lose at most this much accuracy. "
            "--bits is then the widest.",
            default="--bits in every layer",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Round a float net to integers and shift leaks, and say per layer what that did to it.

    An imported network gets other bits; --data and the options of scale, leak and membrane are for
    float nets alone.
    """
    with open_console(json) as console:
        from spikeloop.cosim.stages.quantize import quantize_net
        from spikeloop.cosim.stages.requantize import is_network, refuse_float_options, requantize
        from spikeloop.golden.data.datasets import load_mnist
        from spikeloop.golden.nets.layers import FloatNet

        options: dict[str, Any] = {
            "scale": scale,
            "leak_terms": leak_terms,
            "membrane_bits": membrane_bits,
        }
        if is_network(float_net):
            refuse_float_options(data=data, **options)
            summary = requantize(float_net, file, bits=bits, target_drop=target_drop)
            console.result(summary, _requantized(summary))
            return
        report = quantize_net(
            FloatNet.load(float_net),
            load_mnist(data),
            file,
            bits=bits,
            target_drop=target_drop,
            **{name: value for name, value in options.items() if value is not None},
        )
        scores = report["accuracy"]
        console.result(
            {"network": str(file), "report": report},
            {
                "network": file,
                "on": report["samples"],
                "bits": report["bits"],
                "accuracy": f"float {scores['float']:.2%}, integer {scores['integer']:.2%}",
                **{f"  {row['name']}": _rounding(row) for row in report["layers"]},
            },
        )


def _requantized(s: dict[str, Any]) -> dict[str, Any]:
    """The table of an imported network with other bits."""
    rows = {
        f"  {row['name']}": f"{row['bits']} bits, {row['weights']:,} weights, {row['zeroed']:,} 0"
        for row in s["layers"]
    }
    return {"network": s["network"], **rows}


def _rounding(row: dict[str, Any]) -> str:
    """What quantisation did to a layer."""
    return (
        f"{row['weights']:,} weights: {row['clipped']:,} clipped, {row['zeroed']:,} zeroed; "
        f"{row['neurons']:,} neurons: {row['silent']:,} silent, {row['always']:,} always firing, "
        f"{row['saturations']:,} saturations; "
        f"{row['spikes_float']:.1f} -> {row['spikes']:.1f} spikes a sample"
    )


def widths(
    float_net: FloatNetFile,
    data: Data = None,
    scale: Scale = None,
    folder: Annotated[Path, output("Folder for widths.json and widths.svg.")] = Path(
        "build/widths"
    ),
    verbose: Verbose = None,
    json: Json = False,
) -> None:
    """Quantise a float net to 2 to 10 bits, all layers at once and each alone.

    The table shows accuracy, columns and silent neurons of each width.
    """
    with open_console(json, verbose) as console:
        from spikeloop.cosim.studies.widths import run

        with console.bar("widths", "nets") as (start, advance):
            study = run(float_net, data, scale, folder, start=start, advance=advance)
        curves: dict[str, list[str]] = {}
        for row in study["rows"]:
            silent = f" ({sum(row['silent'])} silent)" if any(row["silent"]) else ""
            text = f"{row['bits']}: {row['accuracy']:.1%}, {row['columns']:,}{silent}"
            curves.setdefault(row["layer"] or "all layers", []).append(text)
        console.result(
            study,
            {
                "on": study["samples"],
                "float": f"{study['float']:.2%}",
                "bits": "accuracy, columns",
                **{f"  {name}": "; ".join(texts) for name, texts in curves.items()},
                "picture": folder / "widths.svg",
            },
        )


def pretrained(
    net: Annotated[str, argument("NET", "One of {nets}.")] = "zou-lenet-4",
    folder: Annotated[Path, output("Folder for network.safetensors and stimulus.npz.")] = Path(
        "build/lenet"
    ),
    data: Data = None,
    samples: Samples = None,
    json: Json = False,
) -> None:
    """Write a trained net that comes with the package, and test images encoded as its stimulus.

    The stimulus has no labels where the net may have been trained on those images.
    """
    with open_console(json) as console:
        from spikeloop.cosim.flow.pretrained import write_pretrained

        network, stimulus = write_pretrained(net, data, samples, folder)
        files = {name: folder / name for name in ("network.safetensors", "stimulus.npz")}
        labels = "labelled" if stimulus.labels is not None else "without labels"
        head = network.pim_head
        sizes = {head.name: head.pixels} if head else {}
        sizes |= {node.name: node.size for node in network.inputs}
        sizes |= {node.name: node.size for node in network.populations}
        console.result(
            {Path(name).stem: str(path) for name, path in files.items()}
            | {"samples": stimulus.samples, "sizes": sizes},
            {Path(name).stem: path for name, path in files.items()}
            | {"samples": f"{stimulus.samples:,} ({labels})"}
            | {f"  {name}": f"{size:,}" for name, size in sizes.items()},
        )


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
