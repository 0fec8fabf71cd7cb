"""A Verilated chip for your own tests, as the fixture ``verilated`` of pytest (docs/api.md).

pytest loads this module in every run where spikeloop is installed. So it imports the rest only when
a test asks for the fixture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from spikeloop.cosim.backend import Backend
    from spikeloop.pysim.network.graph import Network

__all__ = ["verilated"]


@pytest.fixture(scope="session")
def verilated() -> Iterator[Callable[..., Backend]]:
    """``verilated(network, chip="tiny")``: the network on the Verilated RTL of a chip preset.

    The backend has ``run(stimulus)`` and ``waves(stimulus, path)``. The RTL is built once per chip
    and kept on disk. Models stay open until the session ends.
    """
    from spikeloop.cosim.backends import open_backend
    from spikeloop.pysim.bundle.open import map_network
    from spikeloop.pysim.chip.params import preset

    opened: dict[tuple[str, str], Backend] = {}

    def chip_of(network: Network, chip: str = "tiny") -> Backend:
        key = network.sha256(), chip
        if key not in opened:
            opened[key] = open_backend("verilator", network, map_network(network, preset(chip)))
        return opened[key]

    yield chip_of
    for backend in opened.values():
        backend.close()
