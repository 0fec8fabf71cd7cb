"""The source of an image, whichever it is."""

from spikeloop.pysim.image.image import Image
from spikeloop.pysim.sources.dendrites import Dendrites
from spikeloop.pysim.sources.oscillators import Oscillators
from spikeloop.pysim.sources.source import Source

__all__ = ["source_of"]


def source_of(image: Image) -> Source | None:
    """The net that makes the spikes of an input of ``image``; None if there is none."""
    if image.network.onn:
        return Oscillators(image)
    return Dendrites(image) if image.network.dendritic else None
