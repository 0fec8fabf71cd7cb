"""The neuron step, its lanes, and the sums it gets."""

from tests.campaigns.fault_list.fault import Fault

__all__ = ["NEURON"]

NEURON = [
    # -- the neuron step -----------------------------------------------------------------------
    Fault(
        "threshold-strict",
        "neuron/fire.py",
        "~u.below(v_th)",
        "v_th.below(u)",
        "spikes at u > v_th instead of u >= v_th",
    ),
    Fault(
        "sum-unsigned",
        "neuron/leak.py",
        "vector(sum_register, d.acting_bits)",
        (
            "lanes_from_bits(m, sum_register, lanes, d.acting_bits, is_signed=False, "
            "sliced=chip.sliced)"
        ),
        "the weighted sum is not sign-extended",
    ),
    Fault(
        "membrane-unsigned",
        "neuron/leak.py",
        "vector(self.v, chip.membrane_bits)",
        (
            "lanes_from_bits(m, self.v, lanes, chip.membrane_bits, is_signed=False, "
            "sliced=chip.sliced)"
        ),
        "the membrane is not sign-extended in the leak stage",
    ),
    Fault(
        "leak-sign",
        "neuron/record.py",
        'p[f"on{r}"] & p[f"negative{r}"]',
        'p[f"on{r}"] & ~p[f"negative{r}"]',
        "leak terms have the other sign",
    ),
    Fault(
        "leak-order",
        "neuron/record.py",
        'p[f"on{r}"] & p[f"negative{r}"]',
        'p[f"on{r}"] & p[f"negative{chip.leak_terms - 1 - r}"]',
        "the signs of the leak terms are taken in the wrong order",
    ),
    Fault(
        "leak-carry",
        "neuron/record.py",
        "leak.plus(term, minus, width=bits)",
        "leak.plus(term, width=bits)",
        "a subtracted leak term is one too low",
    ),
    Fault(
        "floor-for-toward-zero",
        "neuron/record.py",
        'p["toward_zero"] & v.sign & lost',
        'p["toward_zero"] & v.sign & lost & 0',
        "toward-zero shifts round down",
    ),
    Fault(
        "toward-zero-exact",
        "neuron/record.py",
        'p["toward_zero"] & v.sign & lost',
        'p["toward_zero"] & v.sign',
        "toward-zero shifts of negative membranes add 1 even where no bit was lost",
    ),
    Fault(
        "at-least-one-dropped",
        "neuron/record.py",
        'p["at_least_one"] & v_nonzero & ~shifted.nonzero()',
        'p["at_least_one"] & v_nonzero & ~shifted.nonzero() & 0',
        "at-least-one shifts may become 0",
    ),
    Fault(
        "at-least-one-of-zero",
        "neuron/record.py",
        'p["at_least_one"] & v_nonzero & ~shifted.nonzero()',
        'p["at_least_one"] & ~shifted.nonzero()',
        "at-least-one shifts leave 1 even of a membrane of 0",
    ),
    Fault(
        "rectify-everyone",
        "neuron/leak.py",
        'current.keep(~(p["rectify"] & current.sign))',
        "current.keep(~current.sign)",
        "negative currents become 0 in every neuron",
    ),
    Fault(
        "keep-always",
        "neuron/record.py",
        'v.keep(p["k0"])',
        "v",
        "the membrane is kept where k0 is 0",
    ),
    Fault(
        "soft-subtracts-threshold",
        "neuron/fire.py",
        "v_sub.flip(",
        "v_th.flip(",
        "a soft reset subtracts v_th instead of v_sub",
    ),
    Fault(
        "soft-off-by-one",
        "neuron/fire.py",
        "u.plus(operand, spikes)",
        "u.plus(operand)",
        "a soft reset subtracts one too many",
    ),
    Fault(
        "low-bound-inclusive",
        "neuron/fire.py",
        'u.below(p["v_low"])',
        '~p["v_low"].below(u)',
        "the lower bound acts at u <= v_low",
    ),
    Fault(
        "low-bound-after-spike",
        "neuron/fire.py",
        'p["bounded"] & ~spikes & u',
        'p["bounded"] & u',
        "the lower bound acts on neurons that spike",
    ),
    Fault(
        "hold-ignored",
        "neuron/fire.py",
        'p["hold"] & refractory',
        'p["hold"] & refractory & 0',
        "refractory neurons integrate instead of holding",
    ),
    Fault(
        "not-silenced",
        "neuron/fire.py",
        "spikes = spikes & ~refractory",
        "spikes = spikes | (spikes & refractory)",
        "refractory neurons spike",
    ),
    Fault(
        "refractory-not-loaded",
        "neuron/fire.py",
        'p["refractory"].select(spikes,',
        'p["refractory"].select(spikes & 0,',
        "a spike does not load the refractory count",
    ),
    Fault(
        "masked-spike-reloads",
        "neuron/fire.py",
        'p["refractory"].select(spikes,',
        'p["refractory"].select(p["used"] & p["fire"] & ~u.below(p["v_th"]),',
        "a spike that the refractory count masks loads it again",
    ),
    Fault(
        "clip-1-uncounted",
        "neuron/fire.py",
        "(saturated | (moves & clipped))",
        "(moves & clipped)",
        "saturations of L + I are not counted",
    ),
    Fault(
        "clips-2-3-uncounted",
        "neuron/fire.py",
        "(saturated | (moves & clipped))",
        "saturated",
        "saturations of soft resets and lower bounds are not counted",
    ),
    Fault(
        "clip-3-while-held",
        "neuron/fire.py",
        "u._wire(moves & ~held)",
        "moves",
        "a held neuron counts a clip of a lower bound that does not act",
    ),
    Fault(
        "clear-loads-reset",
        "neuron/fire.py",
        'p["v_init"].select(clear, put)',
        'p["v_reset"].select(clear, put)',
        "CLEAR writes v_reset",
    ),
    Fault(
        "clear-keeps-refractory",
        "neuron/fire.py",
        "loaded.keep(~clear)",
        "loaded",
        "CLEAR forgets the refractory counts",
    ),
    Fault(
        "slice-inputs",
        "neuron/step.py",
        "[b * lanes + first : b * lanes + first + SLICE]",
        "[b * lanes : b * lanes + SLICE]",
        "every slice of a wide core computes the neurons of the first",
        "slices",
    ),
    Fault(
        "slice-planes",
        "neuron/step.py",
        "for b in range(planes) for part in parts",
        "for part in parts for b in range(planes)",
        (
            "the results of the slices of a wide core are put together slice after slice instead "
            "of plane after plane"
        ),
        "slices",
    ),
    # -- lanes ---------------------------------------------------------------------------------
    Fault(
        "clip-one-bit-late",
        "lib/lanes.py",
        "self.parts[width - 1 : -1]",
        "self.parts[width:-1]",
        "values just outside the membrane range are not clipped",
    ),
    Fault(
        "clip-to-other-end",
        "lib/lanes.py",
        "high = self._wire(~sign)",
        "high = self._wire(sign)",
        "clipped values end at -1 or 0 instead of the ends",
    ),
    Fault(
        "shift-fills-zero",
        "lib/lanes.py",
        "value[min(b + step, len(value) - 1)])",
        "(value[b + step] if b + step < len(value) else 0))",
        "right shifts fill with 0 instead of the sign",
    ),
    Fault(
        "scalar-below",
        "lib/lanes.py",
        "Cat(a < b for a, b in",
        "Cat(a <= b for a, b in",
        "lanes held as integers compare with <= for <",
        "scalar",
    ),
    Fault(
        "scalar-clip-low",
        "lib/lanes.py",
        "Cat((p < low) | (p > high) for p in self.parts)",
        "Cat(p > high for p in self.parts)",
        "lanes held as integers count no clip at the lower end",
        "scalar",
    ),
    Fault(
        "scalar-lost-bits",
        "lib/lanes.py",
        "(Const(1, 1 << len(amount)) << c) - 1)",
        "(Const(1, 1 << len(amount)) << c) - 2)",
        "lanes held as integers miss a lost lowest bit when they round",
        "scalar",
    ),
    # -- accumulate and join -------------------------------------------------------------------
    Fault(
        "stale-accumulator",
        "core/accumulate.py",
        "before.eq(now.planes)",
        "before.eq(before.planes)",
        "the reading before a word is never updated: sums hold those of earlier words",
    ),
    Fault(
        "digit-weight",
        "core/accumulate.py",
        "[Const(0, lanes)] * up + planes[: bits - up]",
        "[Const(0, lanes)] * (up + 1) + planes[: bits - up - 1]",
        "each further digit weighs twice too much",
    ),
    Fault(
        "ternary-shifted",
        "core/accumulate.py",
        "return [Mux(shift, a, b) for a, b in zip(shifted, planes, strict=True)]",
        "return shifted",
        "the +1 column of ternary weights weighs 2",
    ),
    Fault(
        "join-from-wrong-lane",
        "core/accumulate.py",
        "Cat(plane[1:], Const(0, 1))",
        "Cat(plane[2:], Const(0, 2))",
        "the second digit comes from two lanes up",
    ),
    Fault(
        "accumulator-narrow",
        "core/accumulate.py",
        "counts.plus_small(digits, bits).planes()",
        "counts.plus_small(digits, bits).planes()[: bits - 3] + [Const(0, chip.lanes)] * 3",
        "accumulators wrap early: lanes of many events lose their top bits",
    ),
]
