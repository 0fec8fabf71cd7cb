"""The signals of a core that a window of waves shows, and the save files that group them."""

from spikeloop.cosim.waves.vcd import Signal

__all__ = ["NUMBER", "OPTIONAL", "SIGNALS", "gtkwave", "path_of", "surfer"]

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
    "synapses": ("synapse_read", "accumulators.row", "accumulators.counts"),
    "neurons": ("y_next", "v_next", "a_next", "spikes", "saturated"),
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

BIT, DECIMAL, HEX, COMMENT = "@28", "@24", "@22", "@200"
"""GTKWave's flags."""


def path_of(name: str) -> tuple[str, ...]:
    """Scopes and name of an entry of SIGNALS; the fields of a payload belong to its name."""
    scope, dot, field = name.partition(".")
    return (scope, field) if dot and not scope.endswith("__payload") else (name,)


def gtkwave(signals: list[Signal], dump: str) -> str:
    """A save file of GTKWave for the file ``dump``; keys of ``signals`` are names of SIGNALS."""
    known = {signal.key: signal for signal in signals}
    lines = [f'[dumpfile] "{dump}"', "[timestart] 0", "*-4.0 0"]
    for group, names in SIGNALS.items():
        lines += [COMMENT, f"-{group}"]
        for signal in (known[name] for name in names if name in known):
            if signal.width == 1:
                lines += [BIT, signal.path]
            else:
                flag = DECIMAL if signal.width <= 64 else HEX
                lines += [flag, f"{signal.path}[{signal.width - 1}:0]"]
    return "\n".join(lines) + "\n"


def surfer(signals: list[Signal]) -> str:
    """Commands for Surfer; keys of ``signals`` are names of SIGNALS."""
    known = {signal.key: signal for signal in signals}
    lines = []
    for group, names in SIGNALS.items():
        lines.append(f"divider_add {group}")
        lines += [f"variable_add {known[name].path}" for name in names if name in known]
    return "\n".join([*lines, "zoom_fit"]) + "\n"
