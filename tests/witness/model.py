"""An independent witness of the arithmetic contract.

It was written from docs/arithmetic.md alone, without a look at the golden model, the chip model or
the RTL. It takes one neuron-step at a time on Python's ints: slow, and meant to be read next to
that page. It knows steps, not ticks: the page promises that a trace in steps does not depend on the
start ticks.
"""

from typing import Any, NamedTuple

Params = dict[str, Any]
PAGED = ("bias", "v_th", "v_sub", "k0", "leak_sign", "leak_shift")
CURRENT = ("current_k0", "current_sign", "current_shift")
ADAPTATION = ("adaptation_k0", "adaptation_sign", "adaptation_shift")


class States(NamedTuple):
    """The states of one neuron that the page calls v, c, y and a."""

    v: int
    c: int = 0
    y: int = 0
    a: int = 0


def shr(v: int, m: int, rounding: str) -> int:
    """v / 2^m, rounded as `rounding` says."""
    if rounding == "floor":
        return v // 2**m
    if v == 0:
        return 0
    sign = 1 if v > 0 else -1
    if rounding == "toward_zero":
        return sign * (abs(v) // 2**m)
    if rounding == "at_least_one":
        return sign * max(abs(v) // 2**m, 1)
    raise ValueError(f"rounding {rounding!r}")


def sat(x: int, P: int) -> int:
    """x clipped to P bits signed."""
    return min(max(x, -(2 ** (P - 1))), 2 ** (P - 1) - 1)


def sata(x: int, R: int) -> int:
    """x clipped to R bits unsigned."""
    return min(max(x, 0), 2**R - 1)


def decayed(x: int, params: Params, state: str, p: int) -> int:
    """What page p leaves of x, the state "current" or "adaptation"."""
    terms = zip(params[f"{state}_sign"][p], params[f"{state}_shift"][p], strict=True)
    rounding = params[f"{state}_rounding"]
    kept = x if params[f"{state}_k0"][p] else 0
    return kept + sum(sign * shr(x, shift, rounding) for sign, shift in terms)


def step(params: Params, k: int, old: States, z: int) -> tuple[States, bool, bool]:
    """One step of one neuron: its states, its spike, whether a clip changed a value.

    A neuron has the entries of a current only if it has one, and so with the adaptation.
    """
    P, p = params["P"], min(k // 2 ** params.get("page_shift", 0), len(params["bias"]) - 1)
    v, c, y, a = old
    clips = []

    j, y_next = z, 0
    mode = params.get("current", "none")
    if mode != "none":
        exact = decayed(y, params, "current", p) + z * 2 ** params["gain"]
        y_next = sat(exact, params["Q"])
        clips.append(y_next != exact)  # clip 4
        j = shr({"new": y_next, "old": y}[mode], params["fraction"], "floor")

    raised, b = 0, 0
    mode = params.get("adaptation", "none")
    adapts = mode != "none"
    if adapts:
        exact = decayed(a, params, "adaptation", p)
        b = sata(exact, params["R"])
        clips.append(b != exact)  # clip 5
        raised = shr({"new": b, "old": a}[mode], params["adaptation_scale"], "floor")

    current = j + params["bias"][p]
    if params["rectify"]:
        current = max(current, 0)
    leaked = v if params["k0"][p] else 0
    for sign, shift in zip(params["leak_sign"][p], params["leak_shift"][p], strict=True):
        leaked += sign * shr(v, shift, params["rounding"])
    u = sat(leaked + current, P)
    clips.append(u != leaked + current)  # clip 1

    spike = bool(params["fire"] and u >= params["v_th"][p] + raised and c == 0)
    if spike:
        lowered = u - params["v_sub"][p]
        if adapts and params["adaptation_reset"]:
            lowered -= raised
        exact = {"hard": params["v_reset"], "soft": lowered, "none": u}[params["reset"]]
        v_next = sat(exact, P)  # clip 2: only the soft reset can leave the range
        clips.append(v_next != exact)
        c_next = params["refractory"]
    else:
        v_next, clip_3 = without_spike(params, u, c)
        clips.append(clip_3)
        c_next = max(c - 1, 0)

    a_next = 0
    if adapts:
        exact = b + (params["adaptation_step"] if spike else 0)
        a_next = sata(exact, params["R"])
        clips.append(a_next != exact)  # clip 6
    return States(v_next, c_next, y_next, a_next), spike, any(clips)


def without_spike(params: Params, u: int, c: int) -> tuple[int, bool]:
    """The membrane of a neuron that did not spike, and whether clip 3 changed it."""
    if params["hold"] and c > 0:
        return params["v_reset"], False
    if params["low"] == "none" or u >= params["v_low"]:
        return u, False
    bounds = {
        "clip": params["v_low"],
        "reset": params["v_low_reset"],
        "add": u + params["v_low_add"],
    }
    exact = bounds[params["low"]]
    v_next = sat(exact, params["P"])  # clip 3: only the addition can leave the range
    return v_next, v_next != exact


def order(network: dict) -> list[str]:
    """The populations, each after the sources of its delay-0 edges."""
    done: list[str] = []
    waiting = list(network["populations"])
    while waiting:
        edges = [e for e in network["edges"] if e["delay"] == 0 and e["source"] in waiting]
        blocked = {e["target"] for e in edges}
        ready = [name for name in waiting if name not in blocked]
        if not ready:
            raise ValueError(f"a cycle of delay 0 among {waiting}")
        done += ready
        waiting = [name for name in waiting if name not in ready]
    return done


def run(network: dict, inputs: dict[str, list[list[int]]]) -> dict[str, dict[str, list]]:
    """All steps of one sample.

    Returns, by population, ``spikes``, ``membranes``, ``synaptic`` (y') and ``adaptations`` (a') as
    [step][neuron], and ``saturations`` as [step]. A network without "Q" or "R" has no neuron with a
    current or with an adaptation; those states are then 0.
    """
    check(network, inputs)
    populations, steps = network["populations"], network["steps"]
    emitted = {
        name: [[int(x) for x in row] for row in inputs[name][:steps]] for name in network["inputs"]
    }
    emitted |= {name: [] for name in populations}
    widths = {key: network[key] for key in "PQR" if network.get(key)}
    params = {
        name: [
            {**neuron, **widths, "page_shift": population.get("page_shift", 0)}
            for neuron in population["neurons"]
        ]
        for name, population in populations.items()
    }
    states = {
        name: [States(neuron["v_init"]) for neuron in neurons] for name, neurons in params.items()
    }
    letters = {"membranes": "v", "synaptic": "y", "adaptations": "a"}
    trace = {
        name: {"spikes": emitted[name], "saturations": []} | {part: [] for part in letters}
        for name in populations
    }
    sequence = order(network)
    for k in range(steps):
        for name in sequence:
            sums = weighted_sums(network, emitted, name, k)
            results = [
                step(neuron, k, old, z)
                for neuron, old, z in zip(params[name], states[name], sums, strict=True)
            ]
            states[name] = [r[0] for r in results]
            trace[name]["spikes"].append([int(r[1]) for r in results])
            trace[name]["saturations"].append(sum(r[2] for r in results))
            for part, letter in letters.items():
                trace[name][part].append([getattr(state, letter) for state in states[name]])
    return trace


def check(network: dict, inputs: dict[str, list[list[int]]]) -> None:
    """Refuse a stimulus that is too short or too narrow, a name given twice, a missing page."""
    steps = network["steps"]
    for name, size in network["inputs"].items():
        rows = inputs[name][:steps]
        if len(rows) != steps or any(len(row) != size for row in rows):
            raise ValueError(f"the stimulus of {name} is not {steps} steps of {size} lines")
    for name, population in network["populations"].items():
        if name in network["inputs"]:
            raise ValueError(f"{name} is both an input and a population")
        for neuron in population["neurons"]:
            paged = list(PAGED)
            for state, width, keys in (("current", "Q", CURRENT), ("adaptation", "R", ADAPTATION)):
                if neuron.get(state, "none") == "none":
                    continue
                paged += keys
                if not network.get(width):
                    raise ValueError(f"a neuron of {name} has a {state}, the network no {width}")
            if any(len(neuron[key]) != population["pages"] for key in paged):
                raise ValueError(f"a neuron of {name} does not have {population['pages']} pages")


def weighted_sums(
    network: dict, emitted: dict[str, list[list[int]]], name: str, k: int
) -> list[int]:
    """S of each neuron of the population ``name`` for step k, over all its incoming edges."""
    sums = [0] * network["populations"][name]["size"]
    for edge in network["edges"]:
        if edge["target"] != name or k < edge["delay"]:
            continue
        lines = emitted[edge["source"]][k - edge["delay"]]
        for x, row in zip(lines, edge["weights"], strict=True):
            sums = [s + x * w for s, w in zip(sums, row, strict=True)]
    return sums
