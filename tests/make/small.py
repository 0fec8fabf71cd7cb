"""A network of five neurons by hand, for tests that need to see every value."""

from typing import Any

import numpy as np

from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.network.elements import Edge, Input, Population
from spikeloop.pysim.network.graph import Network

CHIP = Chip(axons=8, columns=32, lanes=8, membrane_bits=12, delay_max=3, pages=2)


def network(
    *,
    steps: int = 4,
    hidden: dict[str, Any] | None = None,
    out: dict[str, Any] | None = None,
    **changes: Any,
) -> Network:
    """3 input lines, 3 hidden neurons of 4 bits at start 0, 2 output neurons of 4 bits at start 1."""
    return Network(
        **{
            "name": "small",
            "inputs": (Input(name="x", size=3),),
            "steps": steps,
            "output": "out",
            "membrane_bits": 12,
            "populations": (
                Population.make("hid", 3, **{"weight_bits": 4, "v_th": 3, **(hidden or {})}),
                Population.make(
                    "out", 2, **{"weight_bits": 4, "v_th": 2, "start": 1, **(out or {})}
                ),
            ),
            "edges": (
                Edge(
                    source="x",
                    target="hid",
                    weights=np.array([[3, 1, -2], [0, 2, 7], [-8, 0, 1]], np.int32),
                ),
                Edge(
                    source="hid",
                    target="out",
                    weights=np.array([[1, 0], [2, -3], [0, 2]], np.int32),
                ),
            ),
            **changes,
        }
    )
