"""The source of an image, whichever it is."""

from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.dendrites.source import DendriticHead
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.oscillators.source import OnnHead
from spikeloop.pysim.sources.dendrites import Dendrites
from spikeloop.pysim.sources.oscillators import Oscillators
from spikeloop.pysim.sources.source import Source

__all__ = ["source_of"]


def source_of(image: Image) -> Source | None:
    """The net that makes the spikes of an input of ``image``; None if there is none.

    InputError unless chip and memories hold the net that the manifest speaks of.
    """
    head, front = image.source_head, image.chip.front
    source: Oscillators | Dendrites | None = None
    if head is None:
        return None
    if isinstance(head, OnnHead) and image.chip.onn:
        source = Oscillators(image)
    elif isinstance(head, DendriticHead) and image.chip.dendritic:
        source = Dendrites(image)
    if source is None or source.head != head:
        held = source.head if source else front.what if front else "no macro"
        raise InputError(
            f"source of image {image.name!r} must be what it holds, {held}, not {head}"
        )
    return source
