"""How wide weights have to be: accuracy and columns of the integer net against the bits of its layers (``spikeloop widths``).

A column of the crossbar holds one bit, so that a layer of n neurons with b-bit weights takes n b columns. Measured are all layers at one
width, and each layer alone at each width while the others have the widest. :func:`narrowest` begins with all layers at the widest and takes
one bit at a time, where that saves most columns, while the accuracy stays within ``drop`` of the float net's: at its end no layer can give
up one more bit.
"""

from collections.abc import Callable, Sequence
from typing import Any

from spikeloop.golden.quantize.quantize import Quantizer
from spikeloop.golden.reference.integer import run
from spikeloop.golden.training.train import accuracy
from spikeloop.pysim.common.errors import InputError

__all__ = ["WIDTHS", "columns", "narrowest", "sweep"]

WIDTHS = tuple(range(2, 11))
Advance = Callable[[int], None]


def columns(made: Quantizer, bits: Sequence[int]) -> int:
    """Columns of the synapses: neurons x bits, summed over layers."""
    return sum(size * b for size, b in zip(made.net.sizes[1:], bits, strict=True))


def sweep(
    made: Quantizer, widths: Sequence[int] = WIDTHS, advance: Advance = lambda n: None
) -> dict[str, Any]:
    """JSON: the float net's accuracy, ``rows`` of all layers at one width (``layer`` None) and of each layer alone, with ``bits``,
    ``accuracy``, ``columns``, and the neurons of each layer that are ``silent`` and that ``always`` fire."""
    names, count, most = made.net.names, len(made.net.layers), max(widths)
    rows = []
    for layer in [None, *(range(count) if count > 1 else ())]:
        for width in widths:
            bits = [width if layer in (None, i) else most for i in range(count)]
            network = made.network(bits)
            trace = run(network, {"input": made.spikes}, membranes=False)
            spikes = [trace.spikes[name] for name in names]
            rows.append(
                {
                    "layer": None if layer is None else names[layer],
                    "bits": width,
                    "accuracy": made.score(network, trace),
                    "columns": columns(made, bits),
                    "silent": [int((~s.any((0, 1))).sum()) for s in spikes],
                    "always": [int(s.all((0, 1)).sum()) for s in spikes],
                }
            )
            advance(1)
    return {
        "float": accuracy(made.net, made.spikes, made.labels),
        "layers": names,
        "neurons": list(made.net.sizes[1:]),
        "rows": rows,
    }


def narrowest(
    made: Quantizer,
    drop: float,
    *,
    least: int = 2,
    most: int = 10,
    advance: Advance = lambda n: None,
) -> list[int]:
    """The bits of each layer, within ``drop`` points (percent) of the float net's accuracy. InputError if the widest are not."""
    if not 0 <= drop < 100:
        raise InputError(f"--target-drop must be in 0..100 points of accuracy, not {drop:g}")
    floor = accuracy(made.net, made.spikes, made.labels) - drop / 100

    def holds(bits: Sequence[int]) -> bool:
        network = made.network(bits)
        advance(1)
        return (
            made.score(network, run(network, {"input": made.spikes}, membranes=False))
            >= floor - 1e-9
        )

    bits = [most] * len(made.net.layers)
    if not holds(bits):
        raise InputError(
            f"accuracy of {most}-bit weights must be within {drop:g} points of the float net's, not below: allow a larger "
            "--target-drop or more --bits"
        )
    while True:
        saved = sorted(
            (i for i, b in enumerate(bits) if b > least), key=lambda i: -made.net.sizes[i + 1]
        )
        narrower = next(
            (trial for i in saved if holds(trial := [b - (i == j) for j, b in enumerate(bits)])),
            None,
        )
        if narrower is None:
            return bits
        bits = narrower
