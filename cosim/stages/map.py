"""An integer network to the image of one core."""

from pathlib import Path
from typing import Any

from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.network.graph import Network

__all__ = ["make"]


def make(*, output: Path, network: Path, chip: dict[str, Any]) -> None:
    """Pack the network of file ``network`` for ``chip`` (as of Chip.to_dict); save its folder."""
    pack(Network.load(network), chip=Chip.from_dict(chip)).save(output)
