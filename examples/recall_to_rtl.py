"""Oscillators clean a noisy digit, and the crossbar behind them says which one it is.

    python examples/recall_to_rtl.py [SAMPLES]

Six digits of 10 x 6 pixels are stored in 60 coupled oscillators. The classifier is a core of six
neurons that sees 8 of the 60 pixels, so a wrong pixel costs it much. Once it gets the noisy pixels
themselves, once what the oscillators made of them. Both are one chip: the recalled pixels become
events of the core. Golden, pysim and RTL agree in every value (docs/onn.md, "In a network").
"""

import sys

import numpy as np

from spikeloop import Edge, Input, Network, Population, Stimulus, map_network, preset, verify
from spikeloop.pysim.model.core import Core
from spikeloop.pysim.network.elements import Reset
from spikeloop.pysim.onn.params import OnnParams
from spikeloop.pysim.oscillators.digits import SHAPE, digits, fuzzy
from spikeloop.pysim.oscillators.hebb import inputs, phase_net
from spikeloop.pysim.oscillators.source import OnnSource

FUZZY, SEEN = 20, 8  # pixels of each image that are noise; pixels that the classifier sees
PATTERNS = digits()  # int64 [digit, pixel], -1 black and 1 white
CHIP = preset("tiny,axons=64").replace(
    onn=OnnParams(cell="phase", oscillators=60, lanes=12, coupling_bits=5)
)


def seen_pixels(templates: np.ndarray) -> np.ndarray:
    """SEEN pixels on which the digits differ most: the best of 1,000 random choices."""
    rng = np.random.default_rng(0)
    choices = [rng.choice(templates.shape[1], SEEN, replace=False) for _ in range(1000)]
    other = ~np.eye(len(templates), dtype=bool)

    def closest(pixels: np.ndarray) -> int:
        return int((templates[:, pixels] @ templates[:, pixels].T)[other].max())

    return min(choices, key=closest)


def classifier(templates: np.ndarray) -> tuple[Population, np.ndarray]:
    """Six neurons, and weights int32 ``[pixel, neuron]``.

    A membrane is the sum of template x pixel over the pixels that are seen. Black ones are events.
    """
    pixels = seen_pixels(templates)
    weights = np.zeros(templates.T.shape, np.int32)
    weights[pixels] = -2 * templates[:, pixels].T
    bias = templates[:, pixels].sum(1)
    neurons = Population.make(
        "digit", len(templates), weight_bits=3, bias=bias, v_th=SEEN - 1, reset=Reset.NONE
    )
    return neurons, weights


def network(oscillators: bool) -> Network:
    """The classifier alone, or behind the oscillators."""
    # phases are relative to the reference: its own pixel is always white
    templates = PATTERNS * PATTERNS[:, :1] if oscillators else PATTERNS
    neurons, weights = classifier(templates)
    return Network(
        name="recall" if oscillators else "direct",
        inputs=(Input(name="pixels", size=PATTERNS.shape[1]),),
        populations=(neurons,),
        edges=(Edge(source="pixels", target="digit", weights=weights),),
        steps=1,
        output="digit",
        readout="membrane",
        onn=OnnSource(input="pixels", net=phase_net(PATTERNS)) if oscillators else None,
    )


def noisy(samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Images float64 ``[sample, pixel]`` of -1..1, and their digits."""
    rng, labels = np.random.default_rng(1), np.arange(samples) % len(PATTERNS)
    return np.array([fuzzy(PATTERNS[label], FUZZY, rng) for label in labels]), labels


def picture(*images: np.ndarray) -> str:
    """Images side by side, dark where they are below 0."""
    rows = [
        ["".join("#" if p < 0 else "." for p in row) for row in i.reshape(SHAPE)] for i in images
    ]
    return "\n".join("   ".join(parts) for parts in zip(*rows, strict=True))


def main(samples: int = 300, backends: tuple[str, ...] = ("golden", "pysim", "verilator")) -> None:
    images, labels = noisy(samples)
    behind, direct = network(True), network(False)
    assert behind.onn
    starts = np.array([inputs(behind.onn.net, image) for image in images], np.uint16)
    recalled = Stimulus.pack({}, labels, starts={"pixels": starts})
    raw = Stimulus.pack({"pixels": (images < 0)[:, None].astype(np.uint8)}, labels)

    image = map_network(behind, CHIP)
    result = verify(behind, image, recalled, backends)
    alone = verify(direct, map_network(direct, CHIP), raw, backends)
    print(*result.pairs, *alone.pairs, sep="\n")
    assert result.equal and alone.equal, (*result.failures(), *alone.failures())

    trace = Core(image).run(recalled.first(3))
    ends = trace.ends["pixels"][:, 3 * 60 : 4 * 60]  # row "out" of the phase cell
    for start, out in zip(images, ends, strict=False):
        print(f"\n{picture(start, 1 - 2 * out)}")
    print(f"\ncycles of recalls and events: {result.total('onn_cycles', backends[-1]):,}")
    print(f"cycles: predicted {result.cycles_predicted:,}, measured {result.cycles_measured:,}")
    scores = [r.score(backends[-1]) for r in (alone, result)]
    print(f"accuracy: without oscillators {scores[0]:.1%}, behind them {scores[1]:.1%}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
