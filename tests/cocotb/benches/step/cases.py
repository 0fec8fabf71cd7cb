"""Corner cases of the neuron step, and what a form of it takes in and gives out.

What a case must give comes from the independent witness (tests/witness/model.py), never from the
packages.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeloop.pysim.chip.records import (
    adaptive_record,
    bound_record,
    fire_record,
    leak_record,
    neuron_record,
    pack_lanes,
    synaptic_record,
)
from tests.cocotb.benches.step.forms import FORMS
from tests.cocotb.benches.step.states import (
    PAGED_STATES,
    adaptive_fields,
    state_cases,
    synaptic_fields,
)
from tests.witness.model import PAGED, States, step

ROUNDINGS = ("floor", "toward_zero", "at_least_one")
RESETS = ("hard", "soft", "none")
LOWS = ("none", "clip", "reset", "add")
PAGES = (*PAGED, *PAGED_STATES)


@dataclass(frozen=True)
class Case:
    """One neuron before its step.

    params: parameters as the witness names them.
    v: membrane.
    c: refractory count.
    s: weighted sum.
    y: synaptic current.
    a: adaptation.
    """

    params: dict[str, Any]
    v: int
    c: int
    s: int
    y: int = 0
    a: int = 0


def cases(name: str, rng: np.random.Generator, randoms: int = 2000) -> Iterator[Case]:
    """Every corner that the form's chip has hardware for, then random ones."""
    chip = FORMS[name]
    p = chip.membrane_bits
    low, high = -(1 << (p - 1)), (1 << (p - 1)) - 1
    full = chip.axons << 15  # largest sum
    ends = (low, low + 1, low // 2, -2, -1, 0, 1, 2, high // 2, high - 1, high)
    counts = (0, 1, (1 << chip.refractory_bits) - 1) if chip.refractory_bits else (0,)
    roundings = ROUNDINGS if chip.roundings else ("floor",)
    lows = LOWS if chip.bounded else ("none",)

    def case(v: int = 0, c: int = 0, s: int = 0, y: int = 0, a: int = 0, **changes: Any) -> Case:
        base = {
            "P": p,
            "Q": chip.current_bits,
            "R": chip.adaptation_bits,
            "bias": 0,
            "rectify": False,
            "k0": False,
            "leak_sign": (0, 0, 0),
            "leak_shift": (0, 0, 0),
            "rounding": "floor",
            "fire": True,
            "v_th": high,
            "reset": "none",
            "v_reset": 0,
            "v_sub": 0,
            "low": "none",
            "v_low": low,
            "v_low_reset": 0,
            "v_low_add": 0,
            "refractory": 0,
            "hold": False,
            "v_init": 0,
            **changes,
        }
        return Case(
            {key: (value,) if key in PAGES else value for key, value in base.items()}, v, c, s, y, a
        )

    def clip(x: int) -> int:
        return min(max(x, low), high)

    def total(u: int) -> dict[str, int]:
        """A sum and a bias that make u, the sum within what the axons can give."""
        s = min(max(u, -full), full)
        return {"s": s, "bias": u - s}

    # each shift 0..P by each rounding and sign, of membranes at its edges (8 bits: of all)
    if chip.leak_terms:
        for m, rounding, sign in itertools.product(range(p + 1), roundings, (1, -1)):
            edge = 1 << m
            values = (
                range(low, high + 1)
                if p == 8
                else {
                    *ends,
                    *(clip(x) for x in (edge, edge - 1, edge + 1, -edge, -edge - 1, 1 - edge)),
                }
            )
            for v in values:
                where = int(rng.integers(chip.leak_terms))
                yield case(
                    v,
                    fire=False,
                    k0=bool(rng.integers(2)),
                    rounding=rounding,
                    leak_sign=tuple(sign * (r == where) for r in range(3)),
                    leak_shift=tuple(m * (r == where) for r in range(3)),
                )
        # three terms at once: L as far out as it can go, on both sides
        for v, signs, k0, rounding in itertools.product(
            ends, itertools.product((-1, 1), repeat=3), (False, True), roundings
        ):
            signs = tuple(sign * (r < chip.leak_terms) for r, sign in enumerate(signs))
            shifts = tuple(int(x) for x in rng.choice([0, 0, 1, p], 3))
            yield case(
                v,
                fire=False,
                k0=k0,
                rounding=rounding,
                leak_sign=signs,
                leak_shift=shifts,
                s=int(rng.choice([0, full, -full])),
                bias=int(rng.choice([0, low, high])),
            )
    # u = v_th - 1, v_th, v_th + 1, by each reset and count; v_sub at the ends: clip 2 on both sides
    for u, above, reset, c in itertools.product(ends, (-1, 0, 1), RESETS, counts):
        yield case(
            high,
            c,
            **total(u),
            v_th=clip(u + above),
            reset=reset,
            v_reset=int(rng.choice(ends)),
            v_sub=int(rng.choice(ends)),
            refractory=int(rng.choice(counts)),
            hold=bool(rng.integers(2)),
            fire=bool(rng.random() < 0.9),
        )
    # clip 1 on both sides, from the sum, the bias and the membrane; rectified or not
    sums = [s for s in (-full, low - 1, low, -1, 0, 1, high, high + 1, full) if abs(s) <= full]
    for s, bias, rectify, k0 in itertools.product(
        sums, (low, -1, 0, 1, high), (False, True), (False, True)
    ):
        yield case(
            int(rng.choice(ends)),
            s=s,
            bias=bias,
            rectify=rectify,
            k0=k0,
            v_th=int(rng.choice(ends)),
            reset=str(rng.choice(RESETS)),
            v_sub=int(rng.choice(ends)),
            v_reset=int(rng.choice(ends)),
        )
    # u = v_low - 1, v_low, v_low + 1; what is added at the ends: clip 3 on both sides, held or not
    for kind, bound, beside, c, hold in itertools.product(
        lows, ends, (-1, 0, 1), counts, (False, True)
    ):
        yield case(
            c=c,
            **total(clip(bound + beside)),
            fire=bool(rng.integers(2)),
            v_th=int(rng.choice(ends)),
            low=kind,
            v_low=bound,
            v_low_reset=int(rng.choice(ends)),
            v_low_add=int(rng.choice(ends)),
            hold=hold,
            v_reset=int(rng.choice(ends)),
            refractory=int(rng.choice(counts)),
            reset=str(rng.choice(RESETS)),
            v_sub=int(rng.choice(ends)),
        )
    if chip.current_bits:
        yield from state_cases(chip, rng, case, randoms)
    # anything
    for _ in range(randoms):

        def value() -> int:
            return int(rng.choice(ends) if rng.random() < 0.4 else rng.integers(low, high + 1))

        signs = tuple(int(rng.integers(-1, 2)) * (r < chip.leak_terms) for r in range(3))
        shifts = tuple(int(x) for x in rng.integers(0, p + 1, 3))
        s = int(rng.integers(-full, full + 1) if rng.random() < 0.5 else rng.integers(-99, 99))
        yield case(
            value(),
            int(rng.choice(counts)),
            s=s,
            bias=value(),
            rectify=bool(rng.integers(2)),
            k0=bool(rng.integers(2)),
            leak_sign=signs,
            leak_shift=shifts,
            rounding=str(rng.choice(roundings)),
            fire=bool(rng.random() < 0.9),
            v_th=value(),
            reset=str(rng.choice(RESETS)),
            v_reset=value(),
            v_sub=value(),
            low=str(rng.choice(lows)),
            v_low=value(),
            v_low_reset=value(),
            v_low_add=value(),
            refractory=int(rng.choice(counts)),
            hold=bool(rng.integers(2)) and chip.refractory_bits > 0,
            v_init=value(),
        )


def stimuli(name: str, rows: list[list[Case]]) -> dict[str, list[int]]:
    """The inputs of the step without ``clear``, one number per row.

    A row has up to ``lanes`` cases; its other lanes are unused.
    """
    chip = FORMS[name]

    def grid(get: Any) -> np.ndarray:
        return np.array(
            [[int(get(case)) for case in row] + [0] * (chip.lanes - len(row)) for row in rows],
            np.int64,
        )

    def planes(bits: int, get: Any) -> list[int]:
        value = grid(get)
        return _numbers(np.concatenate([(value >> b) & 1 for b in range(bits)], axis=1))

    def fields(record: list, values: dict[str, Any]) -> list[int]:
        return _numbers(
            pack_lanes(record, chip.lanes, {f.name: grid(values[f.name]) for f in record})
        )

    def of(key: str) -> Any:
        return lambda case: case.params[key][0] if key in PAGED else case.params[key]

    def is_(key: str, *values: str) -> Any:
        return lambda case: case.params[key] in values

    def term(r: int, key: str) -> Any:
        return lambda case: case.params[key][0][r]

    leak = {
        "bias": of("bias"),
        "rectify": of("rectify"),
        "k0": of("k0"),
        "toward_zero": is_("rounding", "toward_zero", "at_least_one"),
        "at_least_one": is_("rounding", "at_least_one"),
    }
    for r in range(3):
        sign = term(r, "leak_sign")
        leak |= {
            f"on{r}": lambda case, sign=sign: sign(case) != 0,
            f"negative{r}": lambda case, sign=sign: sign(case) < 0,
            f"shift{r}": term(r, "leak_shift"),
        }
    neuron = {
        "used": lambda case: 1,
        "fire": of("fire"),
        "hard": is_("reset", "hard"),
        "soft": is_("reset", "soft"),
        "v_reset": of("v_reset"),
        "v_init": of("v_init"),
        "refractory": of("refractory"),
        "hold": of("hold"),
    }
    low_value = {"none": "v_low", "clip": "v_low", "reset": "v_low_reset", "add": "v_low_add"}
    bound = {
        "bounded": is_("low", "clip", "reset", "add"),
        "low_add": is_("low", "add"),
        "v_low": of("v_low"),
        "low_value": lambda case: case.params[low_value[case.params["low"]]],
    }
    inputs = {
        "sum": planes(chip.derived.sum_bits, lambda case: case.s),
        "v": planes(chip.membrane_bits, lambda case: case.v),
        "refractory": planes(max(1, chip.refractory_bits), lambda case: case.c),
        "leak": fields(leak_record(chip), leak),
        "fire": fields(fire_record(chip), {"v_th": of("v_th"), "v_sub": of("v_sub")}),
        "neuron": fields(neuron_record(chip), neuron),
    }
    if chip.bounded:
        inputs["bound"] = fields(bound_record(chip), bound)
    if chip.current_bits:
        inputs |= {
            "y": planes(chip.current_bits, lambda case: case.y),
            "a": planes(chip.adaptation_bits, lambda case: case.a),
            "synaptic": fields(synaptic_record(chip), synaptic_fields()),
            "adaptive": fields(adaptive_record(chip), adaptive_fields()),
        }
    return inputs


def expected(case: Case, clear: bool) -> tuple[int, int, int, int, int, int]:
    """(membrane, refractory count, spike, saturated, current, adaptation) after the step.

    With ``clear`` all but the first two are those of a step; nothing looks at them.
    """
    before = States(case.v, case.c, case.y, case.a)
    (v, c, y, a), spike, saturated = step(case.params, 0, before, case.s)
    if clear:
        v, c = case.params["v_init"], 0
    return v, c, int(spike), int(saturated), y, a


def results(name: str, outputs: dict[str, int]) -> list[tuple[int, int, int, int, int, int]]:
    """The outputs of the step, per lane as :func:`expected` has them."""
    chip = FORMS[name]
    none = [0] * chip.lanes

    def lanes(number: int, bits: int, signed: bool) -> list[int]:
        data = np.frombuffer(number.to_bytes(-(-bits * chip.lanes // 8), "little"), np.uint8)
        raw = np.unpackbits(data, count=bits * chip.lanes, bitorder="little").reshape(
            bits, chip.lanes
        )
        value = sum(plane.astype(np.int64) << b for b, plane in enumerate(raw))
        return (value - (raw[-1].astype(np.int64) << bits) * signed).tolist()

    count = (
        lanes(outputs["refractory_next"], max(1, chip.refractory_bits), False)
        if chip.refractory_bits
        else none
    )
    return list(
        zip(
            lanes(outputs["v_next"], chip.membrane_bits, True),
            count,
            lanes(outputs["spikes"], 1, False),
            lanes(outputs["saturated"], 1, False),
            lanes(outputs["y_next"], chip.current_bits, True) if chip.current_bits else none,
            lanes(outputs["a_next"], chip.adaptation_bits, False) if chip.current_bits else none,
            strict=True,
        )
    )


def _numbers(bits: np.ndarray) -> list[int]:
    return [
        int.from_bytes(row.tobytes(), "little")
        for row in np.packbits(bits, axis=1, bitorder="little")
    ]
