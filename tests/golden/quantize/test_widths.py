"""Widths of weights: each row of the sweep is the net it says; the narrowest widths hold and cannot
be narrowed."""

from functools import cache

import numpy as np
import pytest
import torch

from spikeloop.golden.nets.layers import FloatNet
from spikeloop.golden.quantize.quantize import Quantizer, quantize
from spikeloop.golden.quantize.widths import columns, narrowest, sweep
from spikeloop.golden.training.train import float_spikes
from spikeloop.pysim.common.errors import InputError


@cache
def made() -> Quantizer:
    """A net of random weights that is right on all of its samples."""
    torch.manual_seed(5)
    net, rng = FloatNet((14, 12, 4)), np.random.default_rng(5)
    spikes = (rng.random((150, 6, 14)) < 0.4).astype(np.uint8)
    return Quantizer(net, spikes, float_spikes(net, spikes)[-1].sum(axis=1).argmax(axis=1))


def accuracy(bits: list[int]) -> float:
    """By quantize, which knows nothing of the sweep."""
    network, report = quantize(made().net, made().spikes, made().labels, bits=bits)
    assert [p.weight_bits for p in network.order()] == bits and network.metadata["bits"] == (
        bits if bits[0] != bits[1] else bits[0]
    )
    return report["accuracy"]["integer"]


def test_rows_are_the_nets_they_say() -> None:
    told: list[int] = []
    found = sweep(made(), (2, 3, 6), told.append)
    assert found["float"] == 1.0 and sum(told) == len(found["rows"]) == 9
    for row in found["rows"]:
        bits = [
            row["bits"] if row["layer"] in (None, name) else 6 for name in ("hidden1", "output")
        ]
        assert (row["accuracy"], row["columns"]) == (accuracy(bits), 12 * bits[0] + 4 * bits[1])
    alone = {(row["layer"], row["bits"]): row["accuracy"] for row in found["rows"]}
    assert alone["hidden1", 2] < alone["hidden1", 6] == alone[None, 6]


@pytest.mark.parametrize("drop", [1.0, 8.0, 30.0])
def test_the_narrowest_hold_and_cannot_be_narrowed(drop: float) -> None:
    bits = narrowest(made(), drop)
    assert accuracy(bits) >= 1 - drop / 100
    for i, b in enumerate(bits):
        if b > 2:
            assert accuracy([b - (i == j) for j, b in enumerate(bits)]) < 1 - drop / 100
    assert bits != [10, 10]


def test_a_larger_drop_takes_fewer_columns() -> None:
    wide, narrow = (columns(made(), narrowest(made(), drop)) for drop in (0.5, 30.0))
    assert narrow < wide


def test_refused() -> None:
    for make, words in (
        (
            lambda: narrowest(made(), -1),
            r"--target-drop must be in 0\.\.100 points of accuracy, not -1",
        ),
        (
            lambda: narrowest(made(), 0.0, most=2),
            "accuracy of 2-bit weights must be within 0 points",
        ),
        (
            lambda: made().network([8, 8, 8]),
            r"weight bits must be one number or 2 \(one for each layer\), not 3",
        ),
        (lambda: made().network([8, 1]), r"weight bits must be in 2\.\.16, not 1"),
    ):
        with pytest.raises(InputError, match=words):
            make()
