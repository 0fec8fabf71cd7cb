"""What help and completion say is true: the order, the choices, the defaults, the version."""

import contextlib
import inspect
import io
import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import typer.main

import spikeloop
from spikeloop.cosim.cli import app, main, options
from spikeloop.cosim.flow.pretrained import load
from spikeloop.pysim.chip.params import preset
from tests.conftest import ROOT
from tests.cosim.cli.test_app import spikeloop as run
from tests.cosim.conftest import Small
from tests.make.images import write_images

GROUP: Any = typer.main.get_command(app)
FLOW = (
    "train quantize widths import pretrained stimulus fit map cost verilog sim compare lesson "
    "learn onn dendritic report waves export board bench zoo pim-sweep cache"
)


def parameters() -> list[tuple[str, Any]]:
    """(command, parameter) of all commands, in their order."""
    return [
        (f"{name} {sub}".strip(), parameter)
        for name, command in GROUP.commands.items()
        for sub, below in getattr(command, "commands", {"": command}).items()
        for parameter in below.params
        if not below.hidden
    ]


@lru_cache
def shown(*arguments: str) -> str:
    """The help of a command, in one line."""
    text = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(text):
        patch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as end:
            main([*arguments, "--help"])
    assert end.value.code == 0
    return re.sub(r"[\s│]+", " ", text.getvalue())


def test_commands_stand_in_the_order_of_the_flow() -> None:
    assert GROUP.list_commands(None) == FLOW.split()
    text = shown()
    places = [re.search(rf" {name} [A-Z]", text) for name in FLOW.split()]
    found = [place.start() for place in places if place]
    assert len(found) == len(places) and found == sorted(found)


def test_the_version_is_that_of_the_package(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(capfd, "--version") == (0, f"spikeloop {spikeloop.__version__}\n", "")


# -- choices -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(small: Small, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("help")
    (folder / "data").mkdir()
    write_images(folder / "data")
    train = f"train --config 16-6-2 --epochs 1 --data {folder}/data -o {folder}/f.safetensors"
    with pytest.raises(SystemExit) as end:
        main([*train.split(), "--json"])
    assert end.value.code == 0
    return folder


def tried(command: str) -> Callable[[str, Path, Small], list[object]]:
    """The words of a command: ``F`` files, ``S`` the small net, ``O`` output, ``X`` a choice."""

    def words(choice: str, files: Path, small: Small) -> list[object]:
        places = {"F": str(files), "S": str(small.folder), "O": str(files / "out"), "X": choice}
        return [re.sub(r"\b[FSOX]\b", lambda m: places[m[0]], word) for word in command.split()]

    return words


COMMANDS = {
    ("quantize", "scales"): "quantize F/f.safetensors --data F/data -o O/q --scale X",
    ("export", "forms"): "export S/image --format X -o O/export",
    ("fit", "published"): "fit X",
}
"""A choice is good if the command takes it; of choices whose commands take minutes, the check."""


def checked(name: str, choice: str) -> None:
    """The check of a choice that the command makes first."""
    from spikeloop.cosim.backends import check_names
    from spikeloop.cosim.board.fpga import target_of
    from spikeloop.cosim.lessons.engines import check_engines as check_of_lessons
    from spikeloop.cosim.macros.engines import ENGINES, check_engines
    from spikeloop.cosim.studies.pim.sweep import points
    from spikeloop.cosim.studies.zoo import check_backend
    from spikeloop.golden.data.encoders import Encoder
    from spikeloop.golden.interchange.graph.semantics import COMPARES, FRAMEWORKS, RESETS
    from spikeloop.golden.rules.digits.layer import layer
    from spikeloop.golden.training.device import training_on
    from spikeloop.pysim.chip.wrap import WrapMap
    from spikeloop.pysim.mapping.published import layers
    from spikeloop.pysim.network.readout import Readout
    from spikeloop.pysim.oscillators.settings import SETTINGS

    def trains_on(text: str) -> None:
        with training_on(text):
            pass

    checks: dict[str, Callable[[str], object]] = {
        "backends": lambda text: check_names([text]),
        "buses": lambda text: WrapMap(preset("tiny"), text),
        "cells": SETTINGS.__getitem__,
        "comparisons": COMPARES.index,
        "devices": trains_on,
        "encoders": lambda text: Encoder(name=text, steps=4),
        "engines": lambda text: check_engines(check_of_lessons([text, *ENGINES])),
        "frameworks": FRAMEWORKS.__getitem__,
        "nets": load,
        "presets": preset,
        "published": layers,
        "readouts": lambda text: Readout("out", 1, text, 1),
        "resets": RESETS.index,
        "rules": lambda text: layer(text, 10),
        "studies": lambda text: points(1, (text,)),
        "targets": target_of,
        "wave_simulators": lambda text: check_names([text]),
        "zoo_backends": check_backend,
        "zoo_chip": preset,
    }
    checks[name](choice)


def mentioned() -> list[tuple[str, str]]:
    """(command, table) of all tables that help texts mention."""
    return sorted(
        {
            (command, name)
            for command, parameter in parameters()
            for name in re.findall(r"\{(\w+)\}", getattr(parameter, "help", None) or "")
        }
    )


def test_every_table_is_mentioned() -> None:
    assert {name for _, name in mentioned()} == set(options.TABLES)


@pytest.mark.parametrize("command, name", mentioned())
def test_help_lists_the_choices(command: str, name: str) -> None:
    assert ", ".join(options.table(name)) in shown(*command.split())


@pytest.mark.parametrize(
    "command, name, choice",
    [(command, name, choice) for command, name in COMMANDS for choice in options.table(name)],
)
def test_a_choice_is_taken_by_its_command(
    command: str,
    name: str,
    choice: str,
    files: Path,
    small: Small,
    capfd: pytest.CaptureFixture[str],
) -> None:
    if (command, choice) == ("export", "nir"):
        pytest.importorskip("nir", reason="package nir is not installed")
        return  # the small net leaks, which NIR cannot say; tests/cosim/flow writes one
    words = tried(COMMANDS[command, name])(choice, files, small)
    status, _, err = run(capfd, *words)
    assert status == 0, err


@pytest.mark.parametrize("name", sorted(options.TABLES.keys() - {"scales", "forms"}))
def test_a_choice_is_good(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda program, **options: program)  # all is installed
    for choice in options.table(name):
        checked(name, choice)


def test_no_list_is_typed_by_hand() -> None:
    """A help text that names two entries of a table without its braces will one day lie."""
    typed = []
    for command, parameter in parameters():
        words = set(re.findall(r"[\w-]+", getattr(parameter, "help", None) or ""))
        for name in ("presets", "backends", "encoders", "nets", "forms", "frameworks", "targets"):
            among = words & set(options.table(name)) - {"nir", "default", "full", "board", "hex"}
            typed += [(command, parameter.name, among)] if len(among) > 1 else []
    assert typed == []


# -- defaults ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command, name, table",
    [
        ("train", "encoder", "encoders"),
        ("map", "chip", "presets"),
        ("sim", "chip", "presets"),
        ("import nir", "chip", "presets"),
        ("pretrained", "net", "nets"),
        ("board build", "target", "targets"),
        ("zoo", "backend", "zoo_backends"),
        ("waves", "backend", "wave_simulators"),
    ],
)
def test_a_default_is_one_of_the_choices(command: str, name: str, table: str) -> None:
    (default,) = [p.default for c, p in parameters() if c == command and p.name == name]
    assert default in options.table(table)
    assert f"[default: {default}]" in shown(*command.split())


def test_defaults_in_words_are_those_of_the_code() -> None:
    from spikeloop.cosim.runs.folder import KEPT
    from spikeloop.golden.interchange.graph.semantics import COMPARES, RESETS
    from spikeloop.golden.quantize.quantize import Quantizer
    from spikeloop.golden.training.train import MAX_EPOCHS, MIN_EPOCHS, UPDATES
    from spikeloop.pysim.cost.work import Constants

    texts = {(c, p.name): getattr(p, "help", "") for c, p in parameters()}
    of_quantizer = inspect.signature(Quantizer).parameters
    for command, name in (
        ("quantize", "scale"),
        ("quantize", "membrane_bits"),
        ("widths", "scale"),
    ):
        assert f"default: {of_quantizer[name].default}[" in texts[command, name]
    assert f"{UPDATES:,} updates take, {MIN_EPOCHS} to {MAX_EPOCHS}" in texts["train", "epochs"]
    assert KEPT == 4 and "the first four" in texts["compare", "keep"]
    assert f"else {COMPARES[0]}[" in texts["import nir", "compare"]
    assert f"else {RESETS[0]}[" in texts["import nir", "reset"]
    (energy,) = [p.default for c, p in parameters() if p.name == "energy_per_sop"]
    assert energy == Constants().energy_per_sop


# -- the same everywhere -----------------------------------------------------------------------


def test_every_command_has_the_same_options() -> None:
    flags: dict[str, set[str]] = {}
    for command, parameter in parameters():
        flags.setdefault(command, set()).update((*parameter.opts, *parameter.secondary_opts))
    assert all("--json" in known for command, known in flags.items())
    progress = {"train", "widths", "sim", "compare", "waves", "bench", "zoo", "pim-sweep"}
    progress |= {"lesson", "learn", "onn", "dendritic"}
    progress |= {"board serve", "board build", "board balance"}
    assert {
        c for c, known in flags.items() if {"-q", "--quiet", "-v", "--verbose"} <= known
    } == progress
    writing = {c for c, known in flags.items() if {"-o", "--output"} <= known}
    silent = {"fit", "bench", "board serve", "board balance", "cache clear"}
    assert writing == flags.keys() - silent
    assert not any({"--out", "--folder"} & known for known in flags.values())


@pytest.mark.parametrize(
    "line, found",
    [
        ("spikeloop map x --chip zo", ["zou2021"]),
        ("spikeloop compare x --backends golden,py", ["golden,pysim"]),
        ("spikeloop pretrained zou-lenet-", ["zou-lenet-1", "zou-lenet-2", "zou-lenet-4"]),
        ("spikeloop export x --format b", ["bin"]),
        ("spikeloop pre", ["pretrained"]),
    ],
)
def test_completion(line: str, found: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "spikeloop"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "_SPIKELOOP_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(line.count(" ")),
        },
    )
    assert done.stdout.split() == found, done.stderr


def test_make_lenet_maps_for_the_chip_of_the_zoo() -> None:
    done = subprocess.run(
        ["make", "-n", "lenet"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    (chip,) = options.table("zoo_chip")
    assert f'--chip "{chip}"' in done.stdout


def test_the_table_of_commands_is_the_order_of_the_flow() -> None:
    rows = re.findall(
        r"^\| `spikeloop ([\w-]+)` \|", (ROOT / "docs/commands.md").read_text(), re.MULTILINE
    )
    assert rows == FLOW.split()
