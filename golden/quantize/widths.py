"""How many bits the weights need: accuracy and columns of the integer net against the bits of its
layers (``spikeloop widths``).

A column of the crossbar holds one bit, so a layer of n neurons with b-bit weights takes n b
columns. :func:`sweep` measures all layers at one width, and each layer alone at each width while
the others have the widest.

:func:`narrowest` begins with all layers at the widest. It takes one bit at a time where that saves
most columns, as long as the accuracy stays within ``drop`` of the float net's. At its end no layer
can give up one more bit.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from spikeloop.golden.reference.integer import IntegerTrace, run
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.graph import Network

__all__ = ["WIDTHS", "Rounding", "columns", "narrowest", "sweep"]

WIDTHS = tuple(range(2, 11))
Advance = Callable[[int], None]


class Rounding(Protocol):
    """What can be rounded to any bits: a float net (quantize.py) or an imported one (scales.py).

    names, neurons: of the layers. float_accuracy: what the integers are measured against, 0..1.
    """

    @property
    def names(self) -> list[str]: ...

    @property
    def neurons(self) -> list[int]: ...

    @property
    def inputs(self) -> dict[str, np.ndarray]: ...

    @property
    def float_accuracy(self) -> float: ...

    def network(self, bits: Sequence[int]) -> Network:
        """The integer network with so many bits in each layer."""
        ...

    def score(self, network: Network, trace: IntegerTrace) -> float:
        """Share of the samples that a run answers with their label."""
        ...


def columns(quantizer: Rounding, bits: Sequence[int]) -> int:
    """Columns of the synapses: neurons x ``bits``, summed over the layers."""
    return sum(size * b for size, b in zip(quantizer.neurons, bits, strict=True))


def sweep(
    quantizer: Rounding, widths: Sequence[int] = WIDTHS, advance: Advance = lambda n: None
) -> dict[str, Any]:
    """Accuracy and columns for all ``widths``, as JSON.

    ``float`` is the float net's accuracy. Each of ``rows`` holds ``layer`` (None: all layers had
    this width), ``bits``, ``accuracy``, ``columns``, and for each layer the number of neurons that
    are ``silent`` and that ``always`` fire.

    advance: called with 1 after each row.
    """
    names, count = quantizer.names, len(quantizer.names)
    most = max(widths)
    rows = []
    for layer in [None, *(range(count) if count > 1 else ())]:
        for width in widths:
            bits = [width if layer in (None, i) else most for i in range(count)]
            network = quantizer.network(bits)
            trace = run(network, quantizer.inputs, membranes=False)
            spikes = [trace.spikes[name] for name in names]
            rows.append(
                {
                    "layer": None if layer is None else names[layer],
                    "bits": width,
                    "accuracy": quantizer.score(network, trace),
                    "columns": columns(quantizer, bits),
                    "silent": [int((~s.any((0, 1))).sum()) for s in spikes],
                    "always": [int(s.all((0, 1)).sum()) for s in spikes],
                }
            )
            advance(1)
    return {
        "float": quantizer.float_accuracy,
        "layers": names,
        "neurons": list(quantizer.neurons),
        "rows": rows,
    }


def narrowest(
    quantizer: Rounding,
    drop: float,
    *,
    least: int = 2,
    most: int = 10,
    advance: Advance = lambda n: None,
) -> list[int]:
    """The fewest bits of each layer with an accuracy at most ``drop`` points below the float net's.

    drop:        in points of accuracy (percent), at least 0 and below 100.
    least, most: range of the bits.
    advance:     called with 1 after each trial.
    InputError if even the widest weights lose more.
    """
    if not 0 <= drop < 100:
        raise InputError(f"--target-drop must be in 0..100 points of accuracy, not {drop:g}")
    floor = quantizer.float_accuracy - drop / 100

    def holds(bits: Sequence[int]) -> bool:
        network = quantizer.network(bits)
        trace = run(network, quantizer.inputs, membranes=False)
        advance(1)
        return quantizer.score(network, trace) >= floor - 1e-9

    bits = [most] * len(quantizer.names)
    if not holds(bits):
        raise InputError(
            f"accuracy of {most}-bit weights must be within {drop:g} points of the float net's, "
            "not below: allow a larger --target-drop or more --bits"
        )
    while True:
        largest_first = sorted(
            (i for i, b in enumerate(bits) if b > least), key=lambda i: -quantizer.neurons[i]
        )
        trials = ([b - (i == j) for j, b in enumerate(bits)] for i in largest_first)
        narrower = next((trial for trial in trials if holds(trial)), None)
        if narrower is None:
            return bits
        bits = narrower
