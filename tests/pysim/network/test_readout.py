"""The answer of a network: each kind and group against the definition written out."""

from typing import Any

import numpy as np
import pytest

from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.elements import Edge, Input, Population
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.network.readout import KINDS, Readout


def network(neurons: int = 12, **metadata: Any) -> Network:
    return Network(
        name="net",
        inputs=(Input(name="x", size=2),),
        populations=(Population.make("out", neurons, v_th=2),),
        edges=(Edge(source="x", target="out", weights=np.ones((2, neurons), np.int32)),),
        steps=5,
        output="out",
        metadata=metadata,
    )


def by_hand(kind: str, values: np.ndarray, groups: int) -> list[int]:
    """Loops and Python's own numbers: the first class with the largest sum."""
    answers = []
    for sample in values.tolist():
        sums = [0] * groups
        for neuron in range(len(sample[0])):
            course = [step[neuron] for step in sample]
            value = {"spikes": sum(course), "membrane": course[-1], "max-membrane": max(course)}
            sums[neuron // (len(sample[0]) // groups)] += value[kind]
        answers.append(sums.index(max(sums)))
    return answers


@pytest.mark.parametrize("groups", [None, 1, 2, 3, 4, 6, 12])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_and_group(kind: str, groups: int | None, rng: np.random.Generator) -> None:
    readout = Readout.of(network(), kind, groups)
    assert readout.by_membrane == (kind != "spikes") and readout.classes == (groups or 12)
    if kind == "spikes":
        values = (rng.random((200, 5, 12)) < 0.3).astype(np.uint8)
    else:  # few values, so that there are ties; large ones, whose sums leave 32 bits
        values = rng.integers(-2, 3, (200, 5, 12)).astype(np.int32) * (1 << 30)
    answers = readout.answers(values)
    assert answers.dtype == np.int64 and answers.tolist() == by_hand(kind, values, groups or 12)
    assert readout.answers(values[:0]).tolist() == []


def test_groups_are_those_of_snntorch(rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    acc = pytest.importorskip(
        "snntorch.functional.acc", reason="package snntorch is not installed: pip install snntorch"
    )
    spikes = (rng.random((300, 5, 12)) < 0.3).astype(np.uint8)
    answers = Readout.of(network(), groups=4).answers(spikes)
    first = torch.as_tensor(spikes.swapaxes(0, 1).astype(np.float32))  # step first
    labels = torch.as_tensor(answers)
    share = acc.accuracy_rate(first, labels, population_code=True, num_classes=4)
    assert share == 1.0 and len(set(answers.tolist())) == 4


def test_what_the_network_says_holds_without_options() -> None:
    net = network(groups=3)
    assert Readout.of(net) == Readout("out", 12, "spikes", 3)
    assert Readout.of(net, "membrane", 4) == Readout("out", 12, "membrane", 4)
    assert str(Readout.of(net)) == "most spikes of 3 groups of 4 neurons, summed"
    assert str(Readout.of(network(), "membrane")) == "highest last membrane of 12 neurons"


@pytest.mark.parametrize(
    "given, words",
    [
        ({"kind": "vote"}, "read-out must be one of spikes, membrane, max-membrane, not 'vote'"),
        ({"groups": 0}, "groups of the 12 neurons of output 'out' must be in 1..12, not 0"),
        ({"groups": 13}, "must be in 1..12, not 13"),
        ({"groups": 5}, "must be equally large, not 5 groups"),
    ],
)
def test_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Readout.of(network(), **given)


@pytest.mark.parametrize("groups", [5, "3", 2.0, True, None, [3]])
def test_metadata_are_not_trusted(groups: Any) -> None:
    with pytest.raises(InputError, match="groups of the 12 neurons of output 'out' must be"):
        Readout.of(network(groups=groups))


def test_labels_are_classes() -> None:
    readout = Readout.of(network(), groups=3)
    readout.check_labels(None)
    readout.check_labels(np.array([0, 2, 1]))
    readout.check_labels(np.zeros(0, np.int64))
    for wrong in (3, -1):
        words = f"whole numbers in 0..2, the classes of output 'out', not {wrong}"
        with pytest.raises(InputError, match=words):
            readout.check_labels(np.array([0, wrong]))
