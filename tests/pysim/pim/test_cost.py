"""The energy and delay model of ACE-SNN: its equations written out, and its printed figures."""

from itertools import pairwise

import pytest

from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.pim.cost import Constants, Cost, digital, pim
from spikeloop.pysim.pim.window import PimWindow

# CNN-3D, Table 1: source (channels, height, width, depth), filters, kernel, stride, padding
CNN3D = [
    (PimWindow(source=source, kernel=kernel, stride=stride, padding=pad), filters)
    for source, filters, kernel, stride, pad in (
        ((1, 5, 5, 200), 20, (3, 3, 3), (1, 1, 1), (0, 0, 0)),
        ((20, 3, 3, 198), 40, (1, 1, 3), (1, 1, 2), (0, 0, 1)),
        ((40, 3, 3, 99), 84, (3, 3, 3), (1, 1, 1), (0, 0, 1)),
        ((84, 1, 1, 99), 84, (1, 1, 3), (1, 1, 2), (0, 0, 1)),
        ((84, 1, 1, 50), 84, (1, 1, 3), (1, 1, 1), (0, 0, 1)),
        ((84, 1, 1, 50), 84, (1, 1, 2), (1, 1, 2), (0, 0, 1)),
    )
]
PIXEL_MAC = 48**0.5  # bits of an 8 x 6 bit product


def total(costs: list[Cost]) -> Cost:
    return sum(costs[1:], costs[0])


def ann(bits: float) -> Cost:
    return total([digital(window, filters, bits=bits) for window, filters in CNN3D])


def snn(zeta: float) -> list[Cost]:
    first, *others = CNN3D
    return [
        digital(*first, bits=PIXEL_MAC),
        *(digital(window, filters, bits=6, zeta=zeta) for window, filters in others),
    ]


def test_equations() -> None:
    """One layer, every term by hand: 2 -> 3 channels, 3 x 3 of 6 x 6."""
    window, weights, positions = PimWindow.make((2, 6, 6), (3, 3)), 2 * 3 * 9, 16
    cnn, spiking, macro = (
        digital(window, 3, bits=6, leakage=2.0),
        digital(window, 3, bits=6, zeta=0.5, leakage=2.0),
        pim(window, 3, accumulations=9, leakage=2.0),
    )
    read = weights / (64 / 6 * 4) * 4
    assert cnn.delay == pytest.approx(read + weights / 175 * positions * 4)
    assert spiking.delay == pytest.approx(read + weights / 175 * positions * 0.4)
    assert macro.delay == pytest.approx(weights / (256 / 6 * 4) * positions * (4 + 6 / 9))
    assert cnn.compute == pytest.approx(weights * positions * 3.1 * (6 / 32) ** 1.25)
    assert spiking.compute == pytest.approx(weights * positions * 0.5 * 0.1 * 6 / 32)
    assert macro.compute == pytest.approx(weights * positions * (0.08 + 0.268 / 9))
    assert cnn.read == spiking.read == pytest.approx(weights * 5.2) and macro.read == 0
    for cost in (cnn, spiking, macro):
        assert cost.leakage == pytest.approx(2 * cost.delay)
        assert cost.edp == pytest.approx((cost.read + cost.compute + cost.leakage) * cost.delay)
    assert macro.compute == pytest.approx(
        16 * pim(window, 3, accumulations=9, printed=True).compute
    )


def test_geometry_that_the_paper_prints() -> None:
    """Section 3: a third dimension of 100 multiplies FLOPs by 300.

    4.5 x the weights in the second layer.
    """
    flat, deep = (
        PimWindow.make((64, 100, 100), (3, 3), padding=1),
        PimWindow.make((64, 100, 100, 100), (3, 3, 3), padding=1),
    )
    assert deep.rows * deep.positions / (flat.rows * flat.positions) == 300
    weights = [filters * window.rows for window, filters in CNN3D]
    assert weights == [540, 2_400, 90_720, 21_168, 21_168, 14_112]
    assert weights[1] / weights[0] == pytest.approx(4.5, abs=0.06)
    assert weights[5] / weights[0] == pytest.approx(
        26.13, abs=0.01
    )  # printed: 352.8, which is 84 * 84 * 27 / 540


def test_what_follows_from_the_print() -> None:
    full = ann(32)
    assert full.compute / full.energy == pytest.approx(0.98, abs=0.005)  # "~98 %"
    steep = Constants(exponent=1.5)
    assert steep.mac(32) / steep.mac(6) == pytest.approx(12.5, abs=0.2)
    assert steep.mac(6) / steep.ac(6) == pytest.approx(13, abs=0.5)


def test_what_does_not_follow() -> None:
    """docs/pim.md names these; if one of them turned true, the page would be wrong."""
    constants = Constants()
    assert constants.mac(32) / constants.mac(6) == pytest.approx(8.1, abs=0.02)
    assert constants.mac(6) / constants.ac(6) == pytest.approx(20.4, abs=0.02)
    silent = total(snn(0.0))
    assert (
        ann(32).energy / silent.energy < 199.3 / 4 and ann(6).energy / silent.energy < 33.8 / 4
    )  # printed for CNN-3D
    digital_first = snn(0.568)[0]
    for accumulations in (1, 4, 27, 10**6):
        macro = pim(*CNN3D[0], accumulations=accumulations)
        assert macro.delay > digital_first.delay  # printed: a gain of 1.08 in all
        assert macro.energy < digital_first.energy


def test_more_of_anything_costs_more() -> None:
    window, filters = CNN3D[0]
    spikes = [digital(window, filters, bits=6, zeta=z).energy for z in (0, 0.5, 1, 5)]
    shared = [pim(window, filters, accumulations=r).energy for r in (64, 27, 4, 1)]
    assert all(a < b for row in (spikes, shared) for a, b in pairwise(row))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: pim(*CNN3D[0], accumulations=0),
            "accumulations per conversion must be at least 1, not 0",
        ),
        (
            lambda: digital(*CNN3D[0], bits=6, zeta=-1),
            "zeta of the cost model must be at least 0, not -1",
        ),
        (lambda: digital(*CNN3D[0], bits=6, leakage=float("nan")), "leakage"),
    ],
)
def test_refused(make, words) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=words):
        make()
