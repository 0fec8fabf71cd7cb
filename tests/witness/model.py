"""An independent witness of the arithmetic contract.

It was written from docs/arithmetic.md alone, without a look at the golden model, the chip model or
the RTL. It takes one neuron-step at a time on Python's ints: slow, and meant to be read next to
that page. It knows steps, not ticks: the page promises that a trace in steps does not depend on the
start ticks.
"""

from typing import Any

Params = dict[str, Any]
PAGED = ("bias", "v_th", "v_sub", "k0", "leak_sign", "leak_shift")


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


def step(params: Params, k: int, v: int, c: int, s_sum: int) -> tuple[int, int, bool, bool]:
    """One step of one neuron: membrane, refractory count, spike, whether a clip changed a value."""
    P, p = params["P"], min(k, len(params["bias"]) - 1)

    current = s_sum + params["bias"][p]
    if params["rectify"]:
        current = max(current, 0)
    leaked = v if params["k0"][p] else 0
    for sign, shift in zip(params["leak_sign"][p], params["leak_shift"][p], strict=True):
        leaked += sign * shr(v, shift, params["rounding"])
    u = sat(leaked + current, P)
    saturated = u != leaked + current  # clip 1

    if params["fire"] and u >= params["v_th"][p] and c == 0:
        resets = {"hard": params["v_reset"], "soft": u - params["v_sub"][p], "none": u}
        exact = resets[params["reset"]]
        v_next = sat(exact, P)  # clip 2: only the soft reset can leave the range
        return v_next, params["refractory"], True, saturated or v_next != exact

    c_next = max(c - 1, 0)
    if params["hold"] and c > 0:
        return params["v_reset"], c_next, False, saturated
    if params["low"] == "none" or u >= params["v_low"]:
        return u, c_next, False, saturated
    bounds = {
        "clip": params["v_low"],
        "reset": params["v_low_reset"],
        "add": u + params["v_low_add"],
    }
    exact = bounds[params["low"]]
    v_next = sat(exact, P)  # clip 3: only the addition can leave the range
    return v_next, c_next, False, saturated or v_next != exact


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

    Returns, by population, ``spikes`` and ``membranes`` as [step][neuron] and ``saturations`` as
    [step].
    """
    check(network, inputs)
    populations, steps = network["populations"], network["steps"]
    emitted = {
        name: [[int(x) for x in row] for row in inputs[name][:steps]] for name in network["inputs"]
    }
    emitted |= {name: [] for name in populations}
    params = {
        name: [{**neuron, "P": network["P"]} for neuron in population["neurons"]]
        for name, population in populations.items()
    }
    v = {name: [neuron["v_init"] for neuron in neurons] for name, neurons in params.items()}
    c = {name: [0] * len(neurons) for name, neurons in params.items()}
    trace = {
        name: {"spikes": emitted[name], "membranes": [], "saturations": []} for name in populations
    }
    sequence = order(network)
    for k in range(steps):
        for name in sequence:
            sums = weighted_sums(network, emitted, name, k)
            results = [
                step(neuron, k, v_i, c_i, s_i)
                for neuron, v_i, c_i, s_i in zip(params[name], v[name], c[name], sums, strict=True)
            ]
            v[name] = [r[0] for r in results]
            c[name] = [r[1] for r in results]
            trace[name]["spikes"].append([int(r[2]) for r in results])
            trace[name]["membranes"].append(list(v[name]))
            trace[name]["saturations"].append(sum(r[3] for r in results))
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
            if any(len(neuron[key]) != population["pages"] for key in PAGED):
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
