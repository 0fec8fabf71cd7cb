"""A macro to a shared library: its Verilog, and its model with a native harness; both cached."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from spikeloop.cosim.macros.port.client import harness_of
from spikeloop.cosim.verilator.build import VERILATOR_FLAGS, compile_whole, hdl_key, recipe
from spikeloop.cosim.verilator.cache import cached, stage

__all__ = ["MacroBuild"]

P = TypeVar("P")


@dataclass(frozen=True)
class MacroBuild(Generic[P]):
    """How macros of one kind are built.

    name: of its top module and of files. title: what progress calls it.
    harness: file under cosim/macros. generate: the Verilog of parameters.
    header: the text of ``model.h``, which the harness includes.
    flags: Verilator's. control: the text of a control file for Verilator.
    """

    name: str
    title: str
    harness: str
    generate: Callable[[P], str]
    header: Callable[[P], str]
    flags: Sequence[str] = VERILATOR_FLAGS
    control: str = ""

    def verilog(self, params: P) -> Path:
        """The generated Verilog of a macro."""

        def make(folder: Path) -> None:
            with stage(f"generate Verilog of the {self.title}"):
                (folder / f"{self.name}.v").write_text(self.generate(params))

        return cached(f"verilog-{_key(params)}", make) / f"{self.name}.v"

    def library(self, params: P, *, optimise: bool = True, coverage: bool = False) -> Path:
        """The shared library of a macro. InputError if a tool is missing.

        optimise: False compiles faster, for models that run little.
        coverage: the model counts line and toggle points.
        """
        harness, header = harness_of(self.harness), self.header(params)
        how = (optimise, coverage, self.flags, self.control, recipe())
        key = _key((params, harness, header, how))

        def make(folder: Path) -> None:
            sources = [self.verilog(params)]
            if self.control:
                sources.insert(0, folder / "control.vlt")
                sources[0].write_text(self.control)
            compile_whole(
                folder,
                self.name,
                sources,
                header=header,
                harness=harness,
                optimise=optimise,
                flags=self.flags,
                coverage=coverage,
            )

        return cached(f"{self.name}-{key}", make) / f"{self.name}.so"


def _key(what: object) -> str:
    return hdl_key(repr(what))[:24]
