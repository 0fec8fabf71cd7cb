"""A property with its bench and its planted faults, and what becomes of them."""

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import ModuleType
from unittest import mock

from spikeloop.cosim.audit import proof
from spikeloop.cosim.audit.bench import Bench
from spikeloop.cosim.audit.proof import Result, bounded, prove
from tests.campaigns.fault_list.fault import Fault
from tests.conftest import ROOT

__all__ = ["Case", "find", "planted", "run"]

SEARCH = 40  # cycles in which a planted fault must be found


@dataclass(frozen=True)
class Case:
    """A property of the RTL.

    name: its name on the command line.
    claim: what holds.
    configuration: the sizes it is shown for.
    bench: makes the bench, of the RTL as it is then.
    fault: a fault of the RTL that makes it false.
    cycles: the bound; None if it is proved for every cycle.
    limit: seconds of the engine; what takes longer fails.
    fast: it is part of ``make test``.
    """

    name: str
    claim: str
    configuration: str
    bench: Callable[[], Bench]
    fault: Fault
    cycles: int | None = None
    limit: float = 60
    fast: bool = False

    def __str__(self) -> str:
        return f"{self.name}, {self.configuration}"


def run(case: Case) -> Result:
    """The result of a property on the RTL as it is."""
    if case.cycles is None:
        return prove(case.bench(), limit=case.limit)
    return bounded(case.bench(), case.cycles, limit=case.limit)


def find(case: Case) -> Result:
    """The result of a property on the RTL with its fault planted. It must be "refuted"."""
    with planted(case.fault):
        bench = case.bench()
        if bench.combinational:
            return prove(bench, limit=case.limit)
        return bounded(bench, case.cycles or SEARCH, limit=case.limit)


@contextmanager
def planted(fault: Fault) -> Iterator[None]:
    """The RTL with a fault in it: what is built inside has the fault."""
    file = ROOT / "hdl" / fault.file
    text = file.read_text()
    assert text.count(fault.old) == 1, f"fault {fault.name!r} is stale"
    if file.suffix == ".v":
        verilog = proof.primitives().replace(fault.old, fault.new)
        with mock.patch.object(proof, "primitives", lambda: verilog):
            yield
        return
    module = importlib.import_module("spikeloop.hdl." + fault.file[:-3].replace("/", "."))
    altered = ModuleType(module.__name__)
    exec(compile(text.replace(fault.old, fault.new), str(file), "exec"), vars(altered))
    with ExitStack() as stack:
        for name, loaded in list(sys.modules.items()):
            if name.startswith(("spikeloop.hdl", "tests.formal")):
                for key, value in list(vars(loaded).items()):
                    if getattr(value, "__module__", None) == module.__name__:
                        new = vars(altered)[value.__name__]
                        stack.enter_context(mock.patch.object(loaded, key, new))
        yield
