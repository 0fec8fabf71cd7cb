"""The signals of a core that a window of waves shows, and the save files that group them."""

from spikeloop.cosim.waves.derived import NUMBERS, STATE
from spikeloop.cosim.waves.vcd import Signal

__all__ = ["NUMBER", "OPTIONAL", "SIGNALS", "groups", "gtkwave", "path_of", "plain", "surfer"]

SIGNALS: dict[str, tuple[str, ...]] = {
    "ticks": ("clk", "control.number", "control.ticking", "busy"),
    "events in": ("few.i__valid", "few.i__ready", "few.i__payload.axon", "few.i__payload.delay"),
    "controller": (
        "control.state_state",
        "control.word",
        "control.scan",
        "control.replay",
        "control.flush",
        "control.joining",
        "control.driving",
        "control.leaking",
        "control.firing",
        "control.writing",
        "control.emit",
        "control.emitting",
        "control.settling",
    ),
    "scan and list": ("list.scan_valid", "list.scan_axon", "list.valid", "list.axon"),
    "synapses": ("synapse_read", "accumulators.row", "accumulators.counts", "offset", "sum"),
    "neurons": ("step.total", "y_next", "v_next", "a_next", "spikes", "saturated"),
    "events out": (
        "output.o__valid",
        "output.o__ready",
        "output.o__payload.address",
        "output.o__payload.delay",
    ),
    "counters": (
        "counters.count_spikes_in",
        "counters.count_spikes_out",
        "counters.count_sops",
        "counters.count_saturations",
    ),
}
"""Names below the core, by group."""

OPTIONAL = {
    "control.driving": "current_bits",
    "y_next": "current_bits",
    "a_next": "adaptation_bits",
}
"""Names that a chip lacks without this parameter."""

NUMBER = "control.number"
"""The signal that is the number of the tick that runs, plus 1."""

BIT, DECIMAL, HEX, SIGNED, ASCII, COMMENT = "@28", "@24", "@22", "@420", "@820", "@200"
"""GTKWave's flags: right-justified (20) and the form, of comments blank."""

MOST_NEURONS = 32
"""Neurons whose membranes a save file shows; the dump holds all."""


def path_of(name: str) -> tuple[str, ...]:
    """Scopes and name of an entry of SIGNALS; the fields of a payload belong to its name."""
    scope, dot, field = name.partition(".")
    return (scope, field) if dot and not scope.endswith("__payload") else (name,)


def plain(name: str) -> str:
    """A name without points, which viewers would take for scopes."""
    return name.replace(".", "_")


def groups(signals: list[Signal], shown: list[str]) -> dict[str, list[Signal]]:
    """The signals of a save file, by group.

    signals: their keys are names of SIGNALS, or those of cosim/waves/derived.py
    shown:   neurons whose membranes are shown, as NAME_N
    """
    known = {signal.key: signal for signal in signals}
    found = {group: list(names) for group, names in SIGNALS.items()}
    at = found["controller"].index("control.state_state")
    found["controller"].insert(at, STATE)
    found["membranes, as expected, sums, totals"] = [
        f"{group}.{name}" for name in shown[:MOST_NEURONS] for group in NUMBERS
    ]
    return {group: [known[n] for n in names if n in known] for group, names in found.items()}


def gtkwave(shown: dict[str, list[Signal]], dump: str, marker: int) -> str:
    """A save file of GTKWave for the file ``dump`` that shows the groups, with a marker at a time.

    Membranes are signed decimals. The state is a word.
    """
    lines = [f'[dumpfile] "{dump}"', "[timestart] 0", f"*-6.0 {marker}"]
    for group, signals in shown.items():
        lines += [COMMENT, f"-{group}"]
        for signal in signals:
            span = f"[{signal.width - 1}:0]" if signal.width > 1 else ""
            lines += [_flag(signal), f"{signal.path}{span}"]
    return "\n".join(lines) + "\n"


def _flag(signal: Signal) -> str:
    if signal.kind == "string":
        return ASCII
    if signal.width == 1:
        return BIT
    if signal.scope[-1] in NUMBERS:
        return SIGNED
    return DECIMAL if signal.width <= 64 else HEX


def surfer(shown: dict[str, list[Signal]], marker: int) -> str:
    """Commands for Surfer that show the groups, with the cursor at a time."""
    lines = []
    for group, signals in shown.items():
        lines.append(f"divider_add {group}")
        for signal in signals:
            lines.append(f"variable_add {signal.path}")
    return "\n".join([*lines, f"cursor_set {marker}", "zoom_fit"]) + "\n"
