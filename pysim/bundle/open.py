"""From a network to whatever its chip runs, and back from the folder that holds it."""

import os
from pathlib import Path

from spikeloop.pysim.bundle.mesh import MeshImage, map_mesh
from spikeloop.pysim.bundle.program import Program, compile_program
from spikeloop.pysim.bundle.shares import HEADS
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.network.graph import Network

__all__ = ["load_bundle", "map_network"]


def map_network(network: Network, chip: Chip) -> Image | Program | MeshImage:
    """Pack ``network`` for ``chip``.

    The result is a mesh if the chip is one. Otherwise it is the image of a network that one core
    holds, or the program of its parts, which take turns. InputError names what does not fit.
    """
    return map_mesh(network, chip) if chip.derived.cores > 1 else compile_program(network, chip)


def load_bundle(folder: str | Path) -> Image | Program | MeshImage:
    """Whatever ``spikeloop map`` wrote to ``folder``."""
    for kind in (Program, MeshImage):
        if os.path.lexists(Path(folder) / HEADS[kind.kind]):
            return kind.load(folder)
    return Image.load(folder)
