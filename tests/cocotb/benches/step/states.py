"""Corner cases of synaptic currents and adaptations, for the bench of the neuron step.

Parameters are those of the witness (tests/witness/model.py), which says what a case must give.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.network.elements import Widths

__all__ = ["PAGED_STATES", "adaptive_fields", "state_cases", "synaptic_fields"]

Make = Callable[..., Any]
PAGED_STATES = tuple(
    f"{state}_{key}" for state in ("current", "adaptation") for key in ("k0", "sign", "shift")
)
RESETS = ("hard", "soft", "none")


def state_cases(chip: Chip, rng: np.random.Generator, case: Make, randoms: int) -> Iterator[Any]:
    """Corners of both states of ``chip``, then random ones. ``case`` makes one of parameters."""
    yield from _decays(chip, rng, case)
    yield from _clips_4(chip, rng, case)
    yield from _thresholds(chip, rng, case)
    for _ in range(randoms):
        yield _anything(chip, rng, case)


def _off(state: str, **changes: Any) -> dict[str, Any]:
    """A neuron that has the state, kept as it is."""
    base = {"": "new", "_k0": True, "_sign": (0, 0, 0), "_shift": (0, 0, 0), "_rounding": "floor"}
    own = {"gain": 0, "fraction": 0} if state == "current" else {}
    if state == "adaptation":
        own = {"adaptation_step": 0, "adaptation_scale": 0, "adaptation_reset": False}
    return {**{f"{state}{key}": value for key, value in base.items()}, **own, **changes}


def _ends(chip: Chip, state: str) -> list[int]:
    """Values of a state at the ends and in the middle of its range."""
    if state == "current":
        most = (1 << chip.current_bits - 1) - 1
        return [-most - 1, -most, -2, -1, 0, 1, 2, most - 1, most]
    most = (1 << chip.adaptation_bits) - 1
    return [0, 1, 2, most >> 1, (most >> 1) + 1, most - 1, most]


def _roundings(chip: Chip) -> tuple[str, ...]:
    return ("floor", "toward_zero", "at_least_one") if chip.roundings else ("floor",)


def _decays(chip: Chip, rng: np.random.Generator, case: Make) -> Iterator[Any]:
    """Each shift by each rounding and sign, kept or not, of values at the edges of the shift."""
    for state, letter, bits in (
        ("current", "y", chip.current_bits),
        ("adaptation", "a", chip.adaptation_bits),
    ):
        ends = _ends(chip, state)
        for m, rounding, sign in itertools.product(range(bits + 1), _roundings(chip), (1, -1)):
            edges = {1 << m, (1 << m) - 1, -(1 << m), 1 - (1 << m)}
            for x in sorted({*ends, *(e for e in edges if ends[0] <= e <= ends[-1])}):
                where = int(rng.integers(chip.leak_terms))
                changes = {
                    f"{state}": str(rng.choice(["new", "old"])),
                    f"{state}_k0": bool(rng.integers(2)),
                    f"{state}_rounding": rounding,
                    f"{state}_sign": tuple(sign * (r == where) for r in range(3)),
                    f"{state}_shift": tuple(m * (r == where) for r in range(3)),
                }
                yield case(**{letter: x}, **_off(state, **changes))
        for x, signs in itertools.product(ends, itertools.product((-1, 1), repeat=3)):
            signs = tuple(sign * (r < chip.leak_terms) for r, sign in enumerate(signs))
            yield case(**{letter: x}, **_off(state, **{f"{state}_sign": signs}))


def _clips_4(chip: Chip, rng: np.random.Generator, case: Make) -> Iterator[Any]:
    """Sums at both ends of the current by each gain; every fraction."""
    low, high = _ends(chip, "current")[0], _ends(chip, "current")[-1]
    full, most = chip.axons << 15, Widths(chip.membrane_bits, chip.current_bits).gain
    for y, gain in itertools.product(_ends(chip, "current"), range(most + 1)):
        beside = [(end - y >> gain) + d for end in (low, high) for d in (-1, 0, 1)]
        for s in {0, 1, -1, full, -full, *(min(max(s, -full), full) for s in beside)}:
            fraction = int(rng.integers(chip.current_bits + 1))
            use = str(rng.choice(["new", "old"]))
            changes = {"current": use, "gain": gain, "fraction": fraction}
            yield case(y=y, s=s, k0=bool(rng.integers(2)), **_off("current", **changes))


def _thresholds(chip: Chip, rng: np.random.Generator, case: Make) -> Iterator[Any]:
    """u = v_th + w - 1, v_th + w, v_th + w + 1; steps at the ends: clips 2 and 6."""
    p, bits = chip.membrane_bits, chip.adaptation_bits
    low, high = -(1 << p - 1), (1 << p - 1) - 1
    ends, steps = [low, low + 1, -1, 0, 1, high], [0, 1, (1 << bits) - 1]
    counts = (0, 1) if chip.refractory_bits else (0,)
    for a, scale, beside, reset, c in itertools.product(
        _ends(chip, "adaptation"), (0, 1, bits), (-1, 0, 1), RESETS, counts
    ):
        v_th = int(rng.choice([*ends, *rng.integers(low, high + 1, 3)]))
        u = min(max(v_th + (a >> scale) + beside, low), high)
        changes = {
            "adaptation": str(rng.choice(["new", "old"])),
            "adaptation_step": int(rng.choice(steps)),
            "adaptation_scale": scale,
            "adaptation_reset": bool(rng.integers(2)),
        }
        yield case(
            a=a,
            c=c,
            bias=u,
            v_th=v_th,
            v_sub=int(rng.choice(ends)),
            reset=reset,
            **_off("adaptation", **changes),
        )


def _anything(chip: Chip, rng: np.random.Generator, case: Make) -> Any:
    """Any value of any parameter of both states."""
    changes: dict[str, Any] = {}
    for state, bits in (("current", chip.current_bits), ("adaptation", chip.adaptation_bits)):
        signs = (int(rng.integers(-1, 2)) * (r < chip.leak_terms) for r in range(3))
        changes |= {
            state: str(rng.choice(["none", "new", "old"])),
            f"{state}_k0": bool(rng.integers(2)),
            f"{state}_sign": tuple(signs),
            f"{state}_shift": tuple(int(x) for x in rng.integers(0, bits + 1, 3)),
            f"{state}_rounding": str(rng.choice(_roundings(chip))),
        }
    p, gain = chip.membrane_bits, Widths(chip.membrane_bits, chip.current_bits).gain
    low, high = -(1 << p - 1), (1 << p - 1) - 1
    changes |= {
        "gain": int(rng.integers(gain + 1)),
        "fraction": int(rng.integers(chip.current_bits + 1)),
        "adaptation_step": int(rng.integers(1 << chip.adaptation_bits)),
        "adaptation_scale": int(rng.integers(chip.adaptation_bits + 1)),
        "adaptation_reset": bool(rng.integers(2)),
    }
    return case(
        int(rng.integers(low, high + 1)),
        int(rng.integers(2)) if chip.refractory_bits else 0,
        s=int(rng.integers(-99, 99)),
        y=int(rng.integers(-1 << chip.current_bits - 1, 1 << chip.current_bits - 1)),
        a=int(rng.integers(1 << chip.adaptation_bits)),
        bias=int(rng.integers(low, high + 1)),
        rectify=bool(rng.integers(2)),
        v_th=int(rng.integers(low, high + 1)),
        v_sub=int(rng.integers(low, high + 1)),
        reset=str(rng.choice(RESETS)),
        **changes,
    )


# -- the records -------------------------------------------------------------------------------


def _decay_fields(state: str) -> dict[str, Callable[[Any], Any]]:
    """Fields of a decay, each by the case; 0 for a neuron without the state."""

    def of(key: str) -> Callable[[Any], Any]:
        return lambda case: case.params.get(f"{state}_{key}", ((0, 0, 0),))[0]

    def rounds(*modes: str) -> Callable[[Any], Any]:
        return lambda case: case.params.get(f"{state}_rounding") in modes

    fields = {
        state: lambda case: case.params.get(state, "none") != "none",
        "old": lambda case: case.params.get(state) == "old",
        "k0": lambda case: case.params.get(f"{state}_k0", (0,))[0],
        "toward_zero": rounds("toward_zero", "at_least_one"),
        "at_least_one": rounds("at_least_one"),
    }
    for r in range(3):
        fields |= {
            f"on{r}": lambda case, r=r: of("sign")(case)[r] != 0,
            f"negative{r}": lambda case, r=r: of("sign")(case)[r] < 0,
            f"shift{r}": lambda case, r=r: of("shift")(case)[r],
        }
    return fields


def synaptic_fields() -> dict[str, Callable[[Any], Any]]:
    """Every field of a synaptic record, by the case."""
    plain = {key: lambda case, key=key: case.params.get(key, 0) for key in ("gain", "fraction")}
    return _decay_fields("current") | plain


def adaptive_fields() -> dict[str, Callable[[Any], Any]]:
    """Every field of an adaptive record, by the case."""
    plain = {
        key: lambda case, key=key: case.params.get(f"adaptation_{key}", 0)
        for key in ("step", "scale", "reset")
    }
    return _decay_fields("adaptation") | plain
