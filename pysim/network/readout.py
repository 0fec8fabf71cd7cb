"""The answer of a network: the class that its output population says.

Golden, models, chips and the float model of an import are all read out here.
"""

from dataclasses import dataclass

import numpy as np

from spikeloop.pysim.common.checks import check_int
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.graph import Network

__all__ = ["GROUPS", "KINDS", "Readout"]

KINDS = ("spikes", "membrane", "max-membrane")
"""Value of a neuron: its spikes, its membrane after the last step, its highest membrane."""

GROUPS = "groups"
"""Entry of a network's metadata: classes of its output, if that is not one a neuron."""


@dataclass(frozen=True)
class Readout:
    """How the answer is read off an output population: the class of the largest sum.

    population: the output population, of ``neurons`` neurons
    kind:       the value of a neuron, one of KINDS; a membrane is read after its reset
    classes:    groups of k = neurons / classes neighbours: neurons 0..k-1 are class 0, and so on
                (snnTorch's population codes); each sums the values of its neurons
    """

    population: str
    neurons: int
    kind: str
    classes: int

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"read-out must be one of {', '.join(KINDS)}, not {self.kind!r}")
        what = f"groups of the {self.neurons} neurons of output {self.population!r}"
        check_int(what, self.classes, 1, self.neurons)
        if self.neurons % self.classes:
            raise InputError(f"{what} must be equally large, not {self.classes} groups")

    @classmethod
    def of(cls, network: Network, kind: str | None = None, groups: int | None = None) -> "Readout":
        """The read-out of ``network``; ``kind`` and ``groups`` go before what the network says."""
        output = network.population(network.output)
        if groups is None:
            groups = network.metadata.get(GROUPS, output.size)
        return cls(output.name, output.size, kind or network.readout, groups)

    @property
    def by_membrane(self) -> bool:
        """Whether it reads membranes, not spikes."""
        return self.kind != "spikes"

    def answers(self, values: np.ndarray) -> np.ndarray:
        """The class of each sample, int64 ``[sample]``; of equals the lowest.

        ``values [sample, step, neuron]``: spikes 0 or 1, or membranes, as :attr:`by_membrane` says.
        """
        match self.kind:
            case "spikes":
                each = values.sum(axis=1)
            case "membrane":
                each = values[:, -1]
            case _:
                each = values.max(axis=1)
        grouped = each.reshape(len(each), self.classes, self.neurons // self.classes)
        answers: np.ndarray = grouped.sum(axis=2).argmax(axis=1)
        return answers

    def check_labels(self, labels: np.ndarray | None) -> None:
        """InputError unless all ``labels`` are classes of this read-out; None passes."""
        if labels is None or not labels.size:
            return
        wrong = labels[(labels < 0) | (labels >= self.classes)]
        if wrong.size:
            raise InputError(
                f"labels of the stimulus must be whole numbers in 0..{self.classes - 1}, the "
                f"classes of output {self.population!r}, not {wrong[0]}"
            )

    def __str__(self) -> str:
        """Such as "most spikes of 2 groups of 10 neurons"."""
        most = {"spikes": "most spikes", "membrane": "highest last membrane"}
        text = most.get(self.kind, "highest membrane of any step")
        if self.classes == self.neurons:
            return f"{text} of {self.neurons} neurons"
        size = self.neurons // self.classes
        return f"{text} of {self.classes} groups of {size} neurons, summed"
