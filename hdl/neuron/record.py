"""What the stages of the neuron step share: the fields of a record, and the decay of a state.

decay of x = (x if k0) + sum over r of +- shr(x, shift_r)      docs/arithmetic.md, L
"""

from amaranth.hdl import Module

from spikeloop.hdl.lib.lanes import Lanes, lanes_from_bits
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.chip.records import Field

__all__ = ["Record", "decay"]


class Record(dict):
    """The fields of a lane record: one-bit fields as masks, wider ones as lane vectors."""

    def __init__(self, m: Module, chip: Chip, record: list[Field], bits):
        self._raw, at = {}, 0
        for f in record:
            raw = bits[at * chip.lanes : (at + f.bits) * chip.lanes]
            self._raw[f.name] = (raw, f.bits, chip.lanes)
            self[f.name] = raw
            if f.bits > 1 or f.name == "refractory":
                self[f.name] = lanes_from_bits(
                    m, raw, chip.lanes, f.bits, is_signed=f.signed, sliced=chip.sliced
                )
            at += f.bits

    def planes(self, name: str) -> list:
        """A field as the bit planes of an unsigned number."""
        raw, bits, lanes = self._raw[name]
        return [raw[b * lanes : (b + 1) * lanes] for b in range(bits)]


def decay(chip: Chip, v: Lanes, p: Record) -> Lanes:
    """What is left of the state ``v``: exact, two bits wider than it."""
    leak = v.keep(p["k0"])
    v_nonzero = v.nonzero() if chip.roundings and chip.leak_terms else None
    for r in range(chip.leak_terms):
        shifted, lost = v.shift_right(p.planes(f"shift{r}"), sticky=chip.roundings)
        if chip.roundings:
            shifted = shifted.increment(p["toward_zero"] & v.sign & lost)
            shifted = shifted.one_away_from_zero(
                p["at_least_one"] & v_nonzero & ~shifted.nonzero(), v.sign
            )
        minus = p[f"on{r}"] & p[f"negative{r}"]
        term = shifted.named(f"shift{r}").keep(p[f"on{r}"]).flip(minus)
        bits = min(leak.width + 1, v.width + 2)
        leak = leak.plus(term, minus, width=bits)
    return leak
