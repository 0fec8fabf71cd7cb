"""pysim/chip/records.py: packing is invertible, planes lie in place, fields hold their ranges."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloop.pysim.chip.params import PRESETS, Chip
from spikeloop.pysim.chip.records import (
    Field,
    bound_record,
    event_record,
    fire_record,
    leak_record,
    neuron_record,
    output_record,
    pack_lanes,
    pack_plain,
    route_record,
    unpack_lanes,
    unpack_plain,
    width,
    word_record,
)

RECORDS = (
    leak_record,
    fire_record,
    neuron_record,
    bound_record,
    word_record,
    route_record,
    event_record,
    output_record,
)
fields = st.lists(st.tuples(st.integers(1, 33), st.booleans()), min_size=1, max_size=8).map(
    lambda pairs: [Field(f"f{i}", bits, signed, "") for i, (bits, signed) in enumerate(pairs)]
)


def values(record: list[Field], shape: tuple[int, ...], seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    drawn = {}
    for f in record:
        low, high = (-(1 << (f.bits - 1)), 1 << (f.bits - 1)) if f.signed else (0, 1 << f.bits)
        drawn[f.name] = np.where(
            rng.random(shape) < 0.3,
            rng.choice([low, high - 1], shape),
            rng.integers(low, high, shape),
        )
    return drawn


@given(fields, st.integers(1, 4), st.integers(1, 9), st.integers(0, 2**32))
def test_round_trip(record: list[Field], rows: int, lanes: int, seed: int) -> None:
    lane_values, plain_values = values(record, (rows, lanes), seed), values(record, (rows,), seed)
    bits = pack_lanes(record, lanes, lane_values)
    assert (
        bits.shape == (rows, width(record) * lanes) and bits.dtype == np.uint8 and bits.max() <= 1
    )
    for name, value in unpack_lanes(record, lanes, bits).items():
        np.testing.assert_array_equal(value, lane_values[name])
    bits = pack_plain(record, plain_values)
    assert bits.shape == (rows, width(record))
    for name, value in unpack_plain(record, bits).items():
        np.testing.assert_array_equal(value, plain_values[name])


def test_planes() -> None:
    """Bit b of field f of lane l is memory bit plane * lanes + l."""
    record = [Field("a", 2, False, ""), Field("b", 3, True, "")]
    bits = pack_lanes(record, 4, {"a": np.array([[0, 2, 0, 0]]), "b": np.array([[0, 0, 0, -4]])})
    assert np.flatnonzero(bits[0]).tolist() == [1 * 4 + 1, 4 * 4 + 3]
    bits = pack_plain(record, {"a": np.array([2]), "b": np.array([-4])})
    assert np.flatnonzero(bits[0]).tolist() == [1, 4]


POOR = PRESETS["tiny"].replace(leak_terms=0, refractory_bits=0, roundings=False, bounded=False)


@pytest.mark.parametrize("chip", [*PRESETS.values(), POOR])
@pytest.mark.parametrize("make", RECORDS)
def test_records_of_chips(make: object, chip: Chip) -> None:
    record = make(chip)  # type: ignore[operator]
    assert len({f.name for f in record}) == len(record) and all(
        f.bits >= 1 and f.meaning for f in record
    )
    names = {f.name for f in record}
    if make is leak_record:
        assert ("toward_zero" in names) == chip.roundings
        assert sum(name.startswith("shift") for name in names) == chip.leak_terms
        assert all(1 << f.bits > chip.membrane_bits for f in record if f.name.startswith("shift"))
    if make is neuron_record:
        assert ("hold" in names) == bool(chip.refractory_bits)
