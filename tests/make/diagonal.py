"""A network whose neurons inhibit themselves alone, as a delayed subtraction of beta = 0 does."""

import numpy as np

from spikeloop.pysim.network.convolution import Conv
from spikeloop.pysim.network.elements import Edge, Input, Population
from spikeloop.pysim.network.graph import Network

__all__ = ["diagonal_network"]


def diagonal_network(
    rng: np.random.Generator, size: int, *, conv: bool, membrane_bits: int = 24
) -> Network:
    """``size`` neurons on 20 lines, and 4 that read them; weights of 4 bits.

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
