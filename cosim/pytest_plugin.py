"""A Verilated chip for tests of your own: ``pytest_plugins = ["cosim.pytest_plugin"]`` in your conftest.py (docs/api.md)."""

from collections.abc import Callable, Iterator

import pytest

from cosim.backends import open_backend
from cosim.link import Backend
from pysim.bundle import map_network
from pysim.network import Network
from pysim.params import preset

__all__ = ["verilated"]


@pytest.fixture(scope="session")
def verilated() -> Iterator[Callable[..., Backend]]:
    """``verilated(network, chip="tiny")``: the network on the Verilated RTL of a chip preset, with ``run(stimulus)`` and ``waves``.

    The RTL is built once per chip and kept on disk; models stay open until the session ends.
    """
    opened: dict[tuple[str, str], Backend] = {}

    def chip_of(network: Network, chip: str = "tiny") -> Backend:
        key = network.sha256(), chip
        if key not in opened:
            opened[key] = open_backend("verilator", network, map_network(network, preset(chip)))
        return opened[key]

    yield chip_of
    for backend in opened.values():
        backend.close()
