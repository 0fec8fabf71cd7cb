"""The command line: each file parses, calls one function and prints."""

import os
import re
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from spikeloop.cosim.cli import compare, imports, machine, map, nets, studies
from spikeloop.cosim.cli.console import (
    BAD_INPUT,
    BUG,
    INTERRUPTED,
    PIPE_GONE,
    UNPROVEN,
    complain,
    open_streams,
    write,
)
from spikeloop.cosim.cli.options import Command
from spikeloop.pysim.common.errors import InputError

__all__ = ["app", "main"]

PANELS: dict[str, dict[str, Any]] = {
    "A network": {
        "train": nets.train,
        "quantize": nets.quantize,
        "widths": nets.widths,
        "import": imports.app,
        "pretrained": nets.pretrained,
        "stimulus": imports.stimulus,
    },
    "On a chip": {"fit": map.fit, "map": map.map_, "cost": map.cost, "verilog": map.verilog},
    "Compared": {
        "sim": compare.sim,
        "compare": compare.compare,
        "lesson": nets.lesson,
        "learn": nets.learn,
        "onn": studies.onn,
        "dendritic": studies.dendritic,
        "report": compare.report,
        "waves": compare.waves,
    },
    "In other hands": {"export": map.export, "board": machine.board},
    "Studies": {"bench": machine.bench, "zoo": studies.zoo, "pim-sweep": studies.pim_sweep},
    "Kept builds": {"cache": machine.cache},
}
"""All commands in the order of the flow, as ``spikeloop --help`` shows them."""


class Flow(TyperGroup):
    """Lists the commands in the order of the flow."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [name for commands in PANELS.values() for name in commands]


app = typer.Typer(
    name="spikeloop",
    cls=Flow,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 equal or done, 1 different, 2 bad input, "
    "3 nothing differs but nothing is proven (a silent population). "
    "The walk through all of it: spikeloop sim",
)
for panel, commands in PANELS.items():
    for name, command in commands.items():
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name, rich_help_panel=panel)
        else:
            app.command(name, cls=Command, rich_help_panel=panel)(command)


def _version(asked: bool) -> None:
    if asked:
        write(f"spikeloop {sys.modules['spikeloop'].__version__}")
        raise typer.Exit


@app.callback()
def top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Train a spiking network in PyTorch, and know that the chip does exactly what it did."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point; ends the process with the exit status.

    0    equal, or done
    1    different
    2    bad input, in one sentence on stderr
    3    nothing differs, but the run proves nothing: a silent population, dropped events, a chip
         that does not answer
    70   a bug of ours, with its traceback
    130  interrupted
    141  nobody reads stdout any more
    """
    open_streams()
    status = _run(list(sys.argv[1:] if arguments is None else arguments))
    try:
        sys.stdout.flush()
    except OSError as error:
        status = _lost(error) or status
    sys.exit(status)


def _run(arguments: list[str]) -> int:
    try:
        return app(arguments, prog_name="spikeloop", standalone_mode=False) or 0
    except InputError as error:
        complain(f"spikeloop: {error}")
        return BAD_INPUT
    except (TimeoutError, ConnectionError) as error:  # the chip does not answer
        complain(f"spikeloop: {error}")
        return UNPROVEN
    except OSError as error:
        complain(refusal(error))
        return BAD_INPUT
    except (KeyboardInterrupt, typer.Abort):
        complain("spikeloop: interrupted")
        return INTERRUPTED
    except SystemExit as end:  # 1: rich found the reader of stdout gone
        return PIPE_GONE if end.code == 1 else int(end.code or 0)
    except Exception as error:
        if (sentence := usage(error)) is not None:
            if sentence:
                complain(sentence)
            return BAD_INPUT
        complain(traceback.format_exc() + "spikeloop: this is a bug of spikeloop; please report it")
        return BUG


def refusal(error: OSError) -> str:
    """The sentence for what the system refused: of a file, or of stdout, which has no name."""
    if error.filename is None:
        return f"spikeloop: standard output must be writable, not refused ({error.strerror})"
    return f"spikeloop: {str(error.filename)!r} must be usable, not refused ({error.strerror})"


def _lost(error: OSError) -> int:
    """The exit status when stdout takes nothing more; Python then shall not try again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        return PIPE_GONE
    complain(refusal(error))
    return BAD_INPUT


# -- what typer finds wrong, in our words --------------------------------------------------------


def usage(error: Exception) -> str | None:
    """The sentence for a wrong command line, or None if ``error`` is no such thing."""
    if not hasattr(error, "format_message"):  # of click's exceptions, wherever typer keeps click
        return None
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        return str(error.format_message())  # empty where rich has shown the help already
    where = context.command_path if context else "spikeloop"
    return f"spikeloop: {_sentence(error)}: see {where} --help"


def _sentence(error: Any) -> str:
    """Typer's words, by the kind of error; they differ from version to version."""
    kind, text = type(error).__name__, str(error.format_message()).rstrip(".")
    parameter = getattr(error, "param", None)
    if kind == "NoSuchOption":
        near = getattr(error, "possibilities", None)
        hint = f" (did you mean {near[0]}?)" if near else ""
        return f"option must be a known one, not {error.option_name!r}{hint}"
    if kind == "MissingParameter" and parameter:
        return f"{_what(parameter)} is missing"
    if kind == "BadOptionUsage" and "requires an argument" in text:
        return f"value of {error.option_name} is missing"
    if match := re.search(r"No such command '(.*?)'", text):
        return f"command must be a known one, not {match[1]!r}"
    if match := re.search(r"unexpected extra arguments?(?:\(s\))? \((.*)\)", text):
        return f"arguments must be as many as the command takes, not more ({match[1]})"
    if parameter and (match := re.search(r"valid (integer|number|float)", text)):
        requirement = "an integer" if match[1] == "integer" else "a number"
        given = r"'(.*?)' is not a valid|input_value='(.*?)', input_type"
        value = re.search(given, f"{text} {error.__cause__}")
        words = f", not {(value[1] or value[2])!r}" if value else ""
        return f"{_what(parameter)} must be {requirement}{words}"
    return text


def _what(parameter: Any) -> str:
    """ "--steps" or "IMAGE"."""
    flags = [flag for flag in parameter.opts if flag.startswith("--")]
    return flags[0] if flags else str(parameter.metavar or parameter.name.upper())
