"""Whether a mutant does what the unmutated sources do, for all inputs: Yosys and ABC prove it.

Each module of a target whose RTLIL changed is compared with its former self. Instances inside
become ports: what they are given must be equal, what they answer is free, but the same in both.
So equal modules make an equal whole. Where a module is equal only as its neighbours use it, all
that changed is unfolded into the least module that holds it; the rest stays outside.
"""

import re
import tempfile
from pathlib import Path

from spikeloop.cosim.audit.proof import aiger, always_0
from spikeloop.cosim.audit.yosys import yosys
from spikeloop.hdl.verilog import primitives

__all__ = ["equal"]

Text = dict[str, str]
"""By name of a top: its RTLIL."""

SECONDS = 25  # for an engine
MODULE = re.compile(r"(?:^attribute [^\n]*\n)*^module (\\\S+)\n.*?^end\n", re.MULTILINE | re.DOTALL)
PORT = re.compile(r"^  wire (.*?)(input|output|inout) (\d+) (.*?)(\\\S+)$", re.MULTILINE)
CELL = re.compile(r"^  cell (\\\S+) \S+\n.*?^  end\n", re.MULTILINE | re.DOTALL)
CONNECT = re.compile(r"^(    connect )(\\\S+)", re.MULTILINE)
NUMBER = re.compile(r"\$\d+")


def equal(before: Text, after: Text, *, limit: float = SECONDS) -> str | None:
    """How the two are proved equal; None if they are not, or not in time.

    limit: seconds of an engine, for one module or for the whole.
    """
    old, new = modules("".join(before.values())), modules("".join(after.values()))
    if before.keys() != after.keys() or old.keys() != new.keys():
        return None
    new = _renamed(old, new)
    changed = {name for name in old if old[name] != new[name]}
    texts = "".join(old.values()), "".join(new.values())
    try:
        if all(_same(*texts, name, None, limit) for name in sorted(changed)):
            return "equal for all inputs: " + ", ".join(sorted(name[1:] for name in changed))
        inside = {name: _instances(old[name]) | _instances(new[name]) for name in old}
        places = {_place("\\" + top, changed, inside) for top in before} - {None}
        for place in sorted(places):
            apart = {name for name in old if not _reached(name, inside) & changed}
            if not _same(*texts, place, apart - {place}, limit):
                return None
        return "equal for all inputs, unfolded: " + ", ".join(sorted(p[1:] for p in places))
    except TimeoutError:
        return None


def _instances(module: str) -> set[str]:
    return {found[1] for found in CELL.finditer(module)}


def _reached(name: str, inside: dict[str, set[str]]) -> set[str]:
    """A module and all below it."""
    found, left = {name}, [name]
    while left:
        for child in inside.get(left.pop(), set()) - found:
            found.add(child)
            left.append(child)
    return found


def _place(top: str, changed: set[str], inside: dict[str, set[str]]) -> str | None:
    """The lowest module below ``top`` that is unchanged and holds all that changed, or ``top``."""
    if not _reached(top, inside) & changed:
        return None
    while top not in changed:
        below = [name for name in inside[top] if _reached(name, inside) & changed]
        if len(below) > 1 or below[0] in changed:
            break
        top = below[0]
    return top


def modules(text: str) -> dict[str, str]:
    """By name: each module of an RTLIL text."""
    return {found[1]: found[0] for found in MODULE.finditer(text)}


def _renamed(old: dict[str, str], new: dict[str, str]) -> dict[str, str]:
    """``new`` with the names of ports that ``old`` has at their place.

    Names of signals end in numbers that count through a design, so one signal less moves them.
    """
    names: dict[str, dict[str, str]] = {}
    for module, text in new.items():
        first, second = PORT.findall(old[module]), PORT.findall(text)
        alike = [(*rest, NUMBER.sub("", name)) for *rest, name in first] == [
            (*rest, NUMBER.sub("", name)) for *rest, name in second
        ]
        pairs = zip(first, second, strict=True) if alike else ()
        names[module] = {b[-1]: a[-1] for a, b in pairs if a[-1] != b[-1]}

    def inside(module: str, text: str) -> str:
        known = names[module]
        text = CELL.sub(lambda cell: _connected(cell[0], names.get(cell[1], {})), text)
        if not known:
            return text
        taken = set(known.values()) - known.keys()  # a signal that is no port makes room

        def name(found: re.Match[str]) -> str:
            return known.get(found[0], found[0] + "$other" if found[0] in taken else found[0])

        lines = []
        for line in text.splitlines(keepends=True):
            port = CONNECT.match(line)
            start = port.end() if port else 0
            lines.append(line[:start] + re.sub(r"\\[^\s\[\]{}]+", name, line[start:]))
        return "".join(lines)

    return {module: inside(module, text) for module, text in new.items()}


def _connected(cell: str, known: dict[str, str]) -> str:
    """An instance, its ports named anew."""
    return CONNECT.sub(lambda line: line[1] + known.get(line[2], line[2]), cell)


def _same(before: str, after: str, module: str, apart: set[str] | None, limit: float) -> bool:
    """Whether ``module`` is equal in both; with ``apart``, all but these are unfolded into it."""
    with tempfile.TemporaryDirectory(prefix="spikeloop-equality-") as name:
        folder = Path(name)
        (folder / "primitives.v").write_text(primitives())
        for side, text in (("gold", before), ("gate", after)):
            (folder / f"{side}.il").write_text(text)
            done, log = yosys(_alone(folder, side, module, apart), 2 * limit)
            if not done:
                raise RuntimeError(f"no proof: {log[-2000:]}")
        sides = [folder / "gold.module", folder / "gate.module"]
        texts = [side.read_text() for side in sides]
        for side, text in zip(sides, texts, strict=True):
            side.write_text(_widened(text, [_ports(text) for text in texts]))
        done, log = yosys(_both(folder), 2 * limit)
        if not done:
            if "No matching port" in log:
                return False
            raise RuntimeError(f"no proof: {log[-2000:]}")
        return always_0(folder, limit=limit)[0]


def _ports(module: str) -> dict[str, tuple[str, int]]:
    """By name: direction and width of each port of a module."""
    return {
        name: (direction, int((re.search(r"width (\d+)", before + after) or ["", "1"])[1]))
        for before, direction, _, after, name in PORT.findall(module)
    }


def _widened(module: str, both: list[dict[str, tuple[str, int]]]) -> str:
    """A module whose ports are as wide as the wider of ``both``.

    What an output has more is 0, what an input has more is not read: so does a bus of other width.
    """
    for name, (direction, width) in _ports(module).items():
        widest = max(ports[name][1] for ports in both if name in ports)
        if widest == width:
            continue
        used, narrow = re.compile(re.escape(name) + r"(?=\s)(?! \[)"), f"{name} [{width - 1}:0]"
        lines = []
        for line in module.splitlines(keepends=True):
            port, wire = CONNECT.match(line), PORT.match(line.rstrip("\n"))
            start = port.end() if port else 0
            if wire and wire[5] == name:
                line = f"  wire width {widest} {direction} {wire[3]} {name}\n"
            elif not line.startswith("  wire "):
                line = line[:start] + used.sub(narrow.replace("\\", r"\\"), line[start:])
            lines.append(line)
        if direction == "output":
            more = widest - width
            rest = f"  connect {name} [{widest - 1}:{width}] {more}'{'0' * more}\n"
            lines.insert(lines.index("end\n"), rest)
        module = "".join(lines)
    return module


def _alone(folder: Path, side: str, module: str, apart: set[str] | None) -> str:
    """Commands that write one module, whose instances became ports, as ``<side>.module``."""
    unfold = [f"blackbox {name}" for name in sorted(apart or ())] + ["flatten"]
    return f"""read_rtlil {folder}/{side}.il
        read_verilog -lib -sv -D SYNTHESIS {folder}/primitives.v
        hierarchy -top {module}
        proc
        {chr(10).join(unfold) if apart is not None else ""}
        opt_clean
        expose -evert {module}/c:*
        rename {module} {side}
        select -module {side}
        write_rtlil -selected {folder}/{side}.module
        """


def _both(folder: Path) -> str:
    """Commands that write both as one graph, whose output tells a difference."""
    return f"""read_rtlil {folder}/gold.module
        read_rtlil {folder}/gate.module
        miter -equiv -flatten gold gate both
        hierarchy -top both
        memory_dff
        memory_collect
        memory_map
        opt_clean
        async2sync
        clk2fflogic
        setundef -undriven -anyseq
        opt -nodffe -nosdff
        {aiger(folder)}
        """
