"""The options that several commands share, and the tables that help and completion are read from.

A help text names a table in braces: ``"Chip preset: {presets}."``. :class:`Command` puts the
names of the table there when somebody asks for the help. So no list is typed by hand, and a
command that nobody asks about does not load its tables (some of them need PyTorch).
"""

import importlib
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from spikeloop.pysim.common.checks import check_int
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import check_output

__all__ = [
    "TABLES",
    "AllowSilent",
    "Backends",
    "Bits",
    "ChipName",
    "Command",
    "Config",
    "Data",
    "Encoding",
    "Epochs",
    "Groups",
    "ImportSteps",
    "Json",
    "Neurons",
    "OtherChip",
    "Recurrent",
    "RuleName",
    "Samples",
    "Seed",
    "Steps",
    "StimulusFile",
    "Verbose",
    "argument",
    "names",
    "option",
    "output",
    "positive",
    "table",
]

TABLES = {
    "backends": "spikeloop.cosim.backends:BACKENDS",
    "buses": "spikeloop.pysim.chip.wrap:BUSES",
    "cells": "spikeloop.pysim.oscillators.settings:CELLS",
    "comparisons": "spikeloop.golden.interchange.graph.semantics:COMPARES",
    "devices": "spikeloop.golden.training.device:devices",
    "encoders": "spikeloop.golden.data.encoders:ENCODERS",
    "engines": "spikeloop.cosim.macros.engines:ENGINES",
    "forms": "spikeloop.cosim.flow.export:FORMS",
    "frameworks": "spikeloop.golden.interchange.graph.semantics:FRAMEWORKS",
    "nets": "spikeloop.golden.nets.files:kept_files",
    "presets": "spikeloop.pysim.chip.params:PRESETS",
    "readouts": "spikeloop.pysim.network.readout:KINDS",
    "published": "spikeloop.pysim.mapping.published:NAMES",
    "resets": "spikeloop.golden.interchange.graph.semantics:RESETS",
    "rules": "spikeloop.golden.rules.digits.layer:RULES",
    "scales": "spikeloop.golden.quantize.quantize:SCALES",
    "studies": "spikeloop.cosim.studies.pim.sweep:STUDIES",
    "targets": "spikeloop.cosim.board.fpga:TARGETS",
    "wave_simulators": "spikeloop.cosim.waves.window:SIMULATORS",
    "zoo_backends": "spikeloop.cosim.studies.zoo:BACKENDS",
    "zoo_chip": "spikeloop.cosim.studies.zoo:CHIP",
}
"""Name in braces -> where the code keeps the table: a collection of names, a function that
gives one, or one name."""


def table(name: str) -> list[str]:
    """The names of a table of :data:`TABLES`."""
    module, _, attribute = TABLES[name].partition(":")
    found = getattr(importlib.import_module(module), attribute)
    if callable(found):
        found = found()
    return [found] if isinstance(found, str) else list(found)


def filled(text: str) -> str:
    """``text`` with the names of each table in place of its braces."""
    return re.sub(r"\{(\w+)\}", lambda match: ", ".join(table(match[1])), text)


class Command(TyperCommand):
    """A command whose help texts are filled from the tables when they are shown."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        for parameter in self.params:
            if text := getattr(parameter, "help", None):
                parameter.help = filled(text)  # type: ignore[attr-defined]
        super().format_help(ctx, formatter)


def names(text: str) -> list[str]:
    """ "a, b" to its parts."""
    return [name for part in text.split(",") if (name := part.strip())]


def completion(text: str) -> Callable[[str], list[str]] | None:
    """Completes the names of the tables that a help text mentions; in "a,b" the last part."""
    tables = re.findall(r"\{(\w+)\}", text)

    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        words = [name for key in tables for name in table(key)]
        return [f"{before}{comma}{word}" for word in words if word.startswith(last)]

    return complete if tables else None


def _described(text: str, default: str | None, more: dict[str, Any]) -> dict[str, Any]:
    """Keywords of an option or argument. ``default``: what happens without it, in words."""
    if default is not None:
        more |= {"show_default": False}
        text += f" [dim]default: {default}[/dim]"
    return {"help": text, "autocompletion": completion(text), **more}


def option(
    *flags: str,
    help: str,
    default: str | None = None,
    within: tuple[int, int] | None = None,
    **more: Any,
) -> Any:
    """An option of one command. ``within``: the least and the most that an integer may be."""
    if within:
        more["callback"] = _limit(flags[0], *within)
    return typer.Option(*flags, **_described(help, default, more))


def _limit(flag: str, low: int, high: int) -> Callable[[int | None], int | None]:
    def check(value: int | None) -> int | None:
        if value is not None:
            check_int(flag, value, low, high)
        return value

    return check


def positive(flag: str) -> Callable[[float | None], float | None]:
    """Callback of an option that takes a number above 0."""

    def check(value: float | None) -> float | None:
        if value is not None and not 0 < value < math.inf:
            raise InputError(f"{flag} must be above 0, not {value}")
        return value

    return check


def argument(metavar: str, help: str, default: str | None = None, **more: Any) -> Any:
    """An argument of one command."""
    return typer.Argument(metavar=metavar, **_described(help, default, more))


def output(help: str, metavar: str = "DIR", default: str | None = None) -> Any:
    """``-o/--output`` of a command: a folder, or a file if ``metavar`` says FILE.

    Refused before any work if nothing can be written there.
    """
    check = _file if metavar == "FILE" else _folder
    return option("--output", "-o", metavar=metavar, help=help, default=default, callback=check)


def _folder(path: Path | None) -> Path | None:
    if path is not None:
        check_output(path)
    return path


def _file(path: Path | None) -> Path | None:
    if path is not None:
        check_output(path, file=True)
    return path


Json = Annotated[
    bool, option("--json", help="One JSON document on stdout; tables and progress on stderr.")
]
Verbose = Annotated[
    bool | None,
    typer.Option(
        "--verbose/--quiet",
        "-v/-q",
        help="More progress on stderr, with times; or none at all.",
        show_default=False,
    ),
]

ChipName = Annotated[
    str,
    option(
        "--chip",
        metavar="PRESET",
        help="Chip preset ({presets}), with changes if any: tiny,lanes=16.",
    ),
]
OtherChip = Annotated[
    str | None,
    option(
        "--chip",
        metavar="PRESET",
        help="Chip preset ({presets}), with changes if any: tiny,lanes=16.",
        show_default=False,
    ),
]
Backends = Annotated[
    str,
    option(
        "--backends",
        metavar="A,B,...",
        help="Backends, the reference first: {backends}. "
        "A board is board:PORT, a recorded session replay:FILE.",
    ),
]
Bits = Annotated[int, option("--bits", metavar="N", help="Bits of a weight, 2 to 16.")]
AllowSilent = Annotated[
    bool,
    option("--allow-silent", help="A population that never spikes does not spoil the verdict."),
]
Groups = Annotated[
    int | None,
    option(
        "--groups",
        metavar="N",
        help="The output neurons are a population code of N classes, block by block.",
        default="each is a class",
    ),
]
Samples = Annotated[
    int | None, option("--samples", metavar="N", help="Only the first N samples.", default="all")
]
StimulusFile = Annotated[
    Path | None,
    option(
        "--stimulus",
        metavar="S.npz",
        help="Input spikes, and labels if any.",
        default="stimulus.npz in the image folder or beside it",
    ),
]
Data = Annotated[
    Path | None,
    option(
        "--data",
        metavar="DIR",
        help="Folder with the four MNIST IDX files, gzipped or not.",
        default="the 5,000 embedded images",
    ),
]
Config = Annotated[str, option("--config", metavar="N-N-N", help="Layer sizes, inputs first.")]
Encoding = Annotated[str, option("--encoder", metavar="NAME", help="One of {encoders}.")]
Steps = Annotated[int, option("--steps", metavar="T", help="Steps of one sample.")]
ImportSteps = Annotated[
    int, option("--steps", metavar="T", within=(1, 65536), help="Steps of one sample.")
]
Epochs = Annotated[
    int | None,
    option(
        "--epochs",
        metavar="N",
        help="Passes over the training images.",
        default="as many as 9,000 updates take, 15 to 60",
    ),
]
Seed = Annotated[int, option("--seed", metavar="N", help="Seed of weights and order of images.")]
RuleName = Annotated[str, option("--rule", metavar="NAME", help="Of mnist, one of {rules}.")]
Neurons = Annotated[
    int, option("--neurons", metavar="N", help="Of mnist: neurons that learn features.")
]
Recurrent = Annotated[bool, option("--recurrent", help="Lateral synapses in every hidden layer.")]
