"""From a network to whatever its chip runs, and back from the folder that holds it."""

from pathlib import Path

from pysim.image import Image
from pysim.mesh import MeshImage, map_mesh
from pysim.network import Network
from pysim.params import Chip
from pysim.program import Program, compile_program
from pysim.shares import HEADS

__all__ = ["load_bundle", "map_network"]


def map_network(network: Network, chip: Chip) -> Image | Program | MeshImage:
    """On a mesh if the chip is one; else the image of a network that one core holds, or the program of its parts, which take turns.
    InputError names what does not fit."""
    return map_mesh(network, chip) if chip.derived.cores > 1 else compile_program(network, chip)


def load_bundle(folder: str | Path) -> Image | Program | MeshImage:
    """Whatever ``spikeloop map`` wrote to ``folder``."""
    for kind in (Program, MeshImage):
        if (Path(folder) / HEADS[kind.kind]).is_file():
            return kind.load(folder)
    return Image.load(folder)
