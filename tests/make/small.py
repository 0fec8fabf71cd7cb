"""Small networks by hand: of five neurons, firing without input, and with a diagonal."""

from typing import Any

import numpy as np

from spikeloop.pysim.chip.params import PRESETS, Chip
from spikeloop.pysim.network.convolution import Conv
from spikeloop.pysim.network.elements import Edge, Input, Population
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus

CHIP = Chip(axons=8, columns=32, lanes=8, membrane_bits=12, delay_max=3, pages=2)


def network(
    *,
    steps: int = 4,
    hidden: dict[str, Any] | None = None,
    out: dict[str, Any] | None = None,
    **changes: Any,
) -> Network:
    """3 input lines, 3 hidden neurons at start 0, 2 output neurons at start 1; weights of 4 bits.

    ``hidden``, ``out`` and ``changes`` replace parameters of the populations and of the network.
    """
    hidden = {"weight_bits": 4, "v_th": 3, **(hidden or {})}
    out = {"weight_bits": 4, "v_th": 2, "start": 1, **(out or {})}
    to_hidden = np.array([[3, 1, -2], [0, 2, 7], [-8, 0, 1]], np.int32)
    to_out = np.array([[1, 0], [2, -3], [0, 2]], np.int32)
    parts: dict[str, Any] = {
        "name": "small",
        "inputs": (Input(name="x", size=3),),
        "steps": steps,
        "output": "out",
        "membrane_bits": 12,
        "populations": (Population.make("hid", 3, **hidden), Population.make("out", 2, **out)),
        "edges": (
            Edge(source="x", target="hid", weights=to_hidden),
            Edge(source="hid", target="out", weights=to_out),
        ),
    }
    return Network(**{**parts, **changes})


SPONTANEOUS_STEPS = 6


def spontaneous_network(rng: np.random.Generator, size: int, inputs: bool) -> Network:
    """A network whose first population fires by its bias alone.

    On a small chip some parts of it have no input. ``size`` clock neurons feed as many hidden ones,
    and these the output. ``inputs`` adds an input of 5 lines to the hidden ones.
    """

    def edge(source: str, target: str, lines: int) -> Edge:
        weights = rng.integers(-3, 7, (lines, size), dtype=np.int32)
        return Edge(source=source, target=target, weights=weights)

    bias, v_th = rng.integers(1, 5, size), rng.integers(3, 9, size)
    return Network(
        name="spontaneous",
        inputs=(Input(name="x", size=5),) if inputs else (),
        steps=SPONTANEOUS_STEPS,
        output="out",
        membrane_bits=PRESETS["tiny"].membrane_bits,
        populations=(
            Population.make("clock", size, weight_bits=4, bias=bias, v_th=v_th),
            Population.make("hid", size, weight_bits=4, v_th=5, start=1),
            Population.make("out", size, weight_bits=4, v_th=5, start=2),
        ),
        edges=(
            edge("clock", "hid", size),
            *((edge("x", "hid", 5),) if inputs else ()),
            edge("hid", "out", size),
        ),
    )


def spontaneous_stimulus(rng: np.random.Generator, inputs: bool, samples: int) -> Stimulus:
    """Random spikes, or none where the network has no input."""
    if not inputs:
        return Stimulus.pack({}, count=samples)
    shape = (samples, SPONTANEOUS_STEPS, 5)
    return Stimulus.pack({"x": rng.integers(0, 2, shape, dtype=np.uint8)}, count=samples)


def diagonal_network(
    rng: np.random.Generator, size: int, *, conv: bool, membrane_bits: int = 24
) -> Network:
    """A delayed subtraction of beta = 0: neurons that inhibit themselves alone.

    ``size`` of them hear 20 lines, and 4 neurons read them; weights have 4 bits.

    conv: the edge from each neuron to itself is a convolution of 1 x 1, else a matrix.
    """
    own = -rng.integers(3, 8, size)
    line = size, 1, 1
    itself = Conv(source=line, target=line, kernel=(1, 1), groups=size)
    weights = own.reshape(itself.weights_shape) if conv else np.diag(own)
    return Network(
        name="diagonal",
        inputs=(Input(name="x", size=20),),
        populations=(
            Population.make("own", size, weight_bits=4, v_th=5, reset=2, k0=False),
            Population.make("out", 4, start=1, weight_bits=4, v_th=3),
        ),
        edges=(
            Edge(source="x", target="own", weights=rng.integers(-4, 8, (20, size), np.int32)),
            Edge(
                source="own",
                target="own",
                delay=1,
                weights=weights.astype(np.int32),
                conv=itself if conv else None,
            ),
            Edge(source="own", target="out", weights=rng.integers(-4, 5, (size, 4), np.int32)),
        ),
        steps=6,
        output="out",
        membrane_bits=membrane_bits,
    )
