"""Structures: what the words mean, and what is refused."""

import pytest

from spikeloop.golden.rules.structure import Layer, structure, synapses
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.convolution import Conv

MNIST = (1, 28, 28)


def test_words_are_layers():
    conv, pool = (
        Conv.make((2, 9, 8), 4, (3, 3), stride=(2, 2)),
        Conv.make((4, 4, 3), 4, (2, 2), stride=(2, 2), groups=4),
    )
    assert pool.target == (4, 2, 1)  # the odd column is left out
    assert structure("4c3/2-mp2-r7-fc5", (2, 9, 8)) == (
        Layer(inputs=144, size=48, conv=conv),
        Layer(inputs=48, size=8, conv=pool, pool=True),
        Layer(inputs=8, size=7, recurrent=True),
        Layer(inputs=7, size=5),
    )
    assert [layer.synapses for layer in structure("4c3/2-mp2-r7-fc5", (2, 9, 8))] == [
        48 * 18,
        8 * 4,
        7 * 8 + 7 * 7,
        35,
    ]
    first, second, dense, _ = structure("15c5-ap2-40c5-ap2-fc300-fc10", MNIST, "c ap fc")
    assert first.average is None and second.conv and second.average and dense.average
    assert second.conv.source == second.average.target == (15, 12, 12)
    assert second.average.source == (15, 24, 24) and second.inputs == first.size == 8640
    assert dense.average.target == (40, 4, 4) and dense.inputs == second.size == 2560
    assert second.synapses == 2560 * 15 * 25 * 4 and dense.synapses == 2560 * 300
    assert synapses(structure("fc800-fc10", MNIST)) == 784 * 800 + 8000
    assert structure("3c5-fc2", MNIST)[0].conv == Conv.make(MNIST, 3, (5, 5))


@pytest.mark.parametrize(
    "text",
    [
        "8c5/2",
        "r100",
        "fc10-8c5-fc10",
        "fc10-mp2-fc10",
        "8c5/2-x-fc10",
        "fc0",
        "",
        "40c40-fc2",
        "8c5/0-fc2",
        "4fc10",
        "c5-fc10",
        "fc10/2",
        "2mp2-fc10",
        "mp2/2-fc10",
        "8c5/2-ap5-fc10",
        "8c5/2-ap2-ap2-fc10",
        "8c5/2-ap2-r5-fc10",
        "8c5/2-ap2",
        "fc10-ap2-fc10",
    ],
)
def test_structures_that_cannot_be_laid_are_refused(text: str):
    with pytest.raises(InputError, match=r"structure of a net must|convolution of layer|maps be"):
        structure(text, MNIST, "c mp ap r fc")


def test_kinds_that_a_rule_has_not_are_refused():
    with pytest.raises(
        InputError,
        match=r"must be layers c, r, fc, as in 8c5/2-16c3/2-r100-fc10, "
        r"not '4c5-mp2-fc10' \(at 'mp2'\)",
    ):
        structure("4c5-mp2-fc10", MNIST, "c r fc")
