"""pysim/chip/params.py: presets, limits, and widths that hold what they must."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloop.pysim.chip.params import PRESET_TABLE, PRESETS, SCAN_BITS, Chip, clock_of, preset
from spikeloop.pysim.common.errors import InputError

chips = st.builds(
    lambda digit_bits, digits, **rest: Chip(
        digit_bits=digit_bits, columns=digit_bits * digits, **rest
    ),
    digit_bits=st.sampled_from([1, 2, 4, 8]),
    digits=st.integers(1, 8192),
    axons=st.integers(1, 65536),
    lanes=st.integers(1, 1024),
    membrane_bits=st.integers(8, 32),
    delay_max=st.integers(1, 16),
    pages=st.sampled_from([1, 2, 4, 8, 16, 32, 64]),
    page_shift=st.sampled_from([0, 1, 4, 15]),
    leak_terms=st.integers(0, 3),
    refractory_bits=st.integers(0, 6),
    roundings=st.booleans(),
    bounded=st.booleans(),
    current_bits=st.sampled_from([0, 8, 9, 24, 31, 32]),
    adaptation_bits=st.sampled_from([0, 8, 16, 31]),
)


def test_presets() -> None:
    assert set(PRESETS) == {"tiny", "default", "zou2021", "full", "ulx3s-85f", "hx8k"}
    assert preset("zou2021").derived.words == 12
    assert preset("full").derived.digits == 1024
    with pytest.raises(
        InputError, match="must be one of tiny, default, zou2021, full, ulx3s-85f, hx8k, not 'huge'"
    ):
        preset("huge")


@given(chips)
def test_widths_hold_the_extremes(chip: Chip) -> None:
    d, p = chip.derived, chip.membrane_bits
    assert d.words * chip.lanes >= d.digits > (d.words - 1) * chip.lanes
    assert d.axon_chunks * SCAN_BITS >= chip.axons > (d.axon_chunks - 1) * SCAN_BITS
    assert d.spike_chunks * SCAN_BITS >= chip.lanes
    assert chip.axons * ((1 << chip.digit_bits) - 1) < 1 << d.accumulator_bits
    assert chip.axons << 15 <= 1 << (d.sum_bits - 1)
    assert (chip.axons << 15) + (1 << (p - 1)) <= 1 << (d.input_bits - 1)
    assert (chip.axons << 15) + (5 << (p - 1)) <= 1 << (d.total_bits - 1)
    if q := chip.current_bits:
        drive = max(chip.axons << 15, 1 << (q - 1))
        assert drive <= 1 << (d.acting_bits - 1)
        assert drive + (5 << (p - 1)) <= 1 << (d.total_bits - 1)
        assert min(15, q - 1) < 1 << d.gain_bits <= 16 and q < 1 << d.fraction_bits
    assert chip.adaptation_bits < 1 << d.scale_bits
    assert (
        chip.axons < 1 << d.count_bits
        and p < 1 << d.shift_bits
        and chip.delay_max < 1 << d.delay_bits
    )
    assert d.join_max * chip.digit_bits == 16
    assert (
        chip.axons - 1 < 1 << d.axon_bits
        and d.words - 1 < 1 << d.word_bits
        and chip.pages - 1 < 1 << d.page_bits
        and chip.page_shift < 1 << d.page_shift_bits
    )


@given(chips)
def test_dictionary_and_fingerprint(chip: Chip) -> None:
    assert Chip.from_dict(chip.to_dict()) == chip
    other = chip.replace(roundings=not chip.roundings)
    assert other.fingerprint() != chip.fingerprint() == Chip.from_dict(chip.to_dict()).fingerprint()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("axons", 0),
        ("axons", 65537),
        ("axons", "8"),
        ("axons", True),
        ("columns", 0),
        ("lanes", 0),
        ("lanes", 4097),
        ("membrane_bits", 7),
        ("membrane_bits", 33),
        ("delay_max", 0),
        ("delay_max", 17),
        ("pages", 0),
        ("pages", 3),
        ("pages", 128),
        ("page_shift", -1),
        ("page_shift", 16),
        ("leak_terms", 4),
        ("refractory_bits", 7),
        ("digit_bits", 3),
        ("roundings", 1),
        ("bounded", None),
        ("current_bits", 7),
        ("current_bits", 33),
        ("current_bits", "8"),
        ("adaptation_bits", 1),
        ("adaptation_bits", 32),
        ("adaptation_bits", True),
        ("adaptation_bits", None),
    ],
)
def test_refused(field: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"chip parameter {field} must be .*, not "):
        PRESETS["tiny"].replace(**{field: value})


def test_what_a_chip_lacks_is_not_in_its_dictionary() -> None:
    plain, parts = PRESETS["tiny"].to_dict(), {"current_bits": 8, "adaptation_bits": 31}
    parts["page_shift"] = 4
    every = PRESETS["tiny"].replace(**parts).to_dict()
    assert every == {**plain, **parts} and not parts.keys() & plain.keys()
    assert preset("tiny,current_bits=8,adaptation_bits=31,page_shift=4") == Chip.from_dict(every)
    assert Chip.from_dict({**plain, "current_bits": 0}) == PRESETS["tiny"]


def test_columns_of_whole_digits() -> None:
    with pytest.raises(InputError, match=r"columns must be a multiple of digit_bits \(4\), not 30"):
        Chip(axons=8, columns=30, lanes=4, digit_bits=4)


@pytest.mark.parametrize(
    "values", [{}, None, [], {"axons": 1}, {**PRESETS["tiny"].to_dict(), "more": 1}]
)
def test_dictionary_refused(values: Any) -> None:
    with pytest.raises(InputError, match="chip parameters must be exactly"):
        Chip.from_dict(values)


@pytest.mark.parametrize(
    ("name", "clock"),
    [
        *((name, row.clock) for name, row in PRESET_TABLE.items()),
        ("full,lanes=256,extension=4", 252_000_000),
        ("tiny,mesh_width=4,mesh_height=4,banks=2", 252_000_000),
        ("ulx3s-85f,columns=64,axons=96", 25_000_000),
        ("hx8k,columns=32,axons=128,membrane_bits=12", 12_000_000),
        ("tiny,clock_gates=false,sliced=false", 25_000_000),
    ],
)
def test_the_clock_is_that_of_the_nearest_preset(name: str, clock: int) -> None:
    assert clock_of(preset(name)) == clock


def test_the_clock_is_no_parameter_of_the_chip() -> None:
    assert not [key for key in PRESETS["hx8k"].to_dict() if "clock" in key and key != "clock_gates"]


def test_every_preset_says_what_it_is() -> None:
    assert list(PRESET_TABLE) == list(PRESETS)
    for name, row in PRESET_TABLE.items():
        assert row.chip is PRESETS[name] and row.clock > 0 and 10 < len(row.meaning) < 100


@pytest.mark.parametrize("name", PRESETS)
def test_a_chip_is_shown_by_what_differs_from_the_defaults(name: str) -> None:
    assert eval(repr(PRESETS[name])) == PRESETS[name]
    assert repr(PRESETS["tiny"]) == "Chip(axons=32, columns=64, lanes=8, pages=4)"
