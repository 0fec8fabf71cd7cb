"""An image as a C header, for the driver of a wrapped chip to load."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from spikeloop.pysim.chip.wrap import BYTE_BITS
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import write_atomic
from spikeloop.pysim.image.image import Bundle, Image
from spikeloop.pysim.image.loading import load_rows

__all__ = ["c_image", "write_c_image"]

NAME = "image.h"

HEAD = """\
/* The image of network {network}. Written by spikeloop export: do not edit. */
#ifndef SPIKELOOP_IMAGE_H
#define SPIKELOOP_IMAGE_H

#include "spikeloop.h"

static const uint32_t spikeloop_words[] = {{
{words}
}};
static const struct spikeloop_segment spikeloop_segments[] = {{
{segments}
}};
static const struct spikeloop_input spikeloop_inputs[] = {{
{inputs}
}};
static const struct spikeloop_image spikeloop_image = {{
    0x{fingerprint:08x}u,
    {count}u, spikeloop_segments, spikeloop_words,
    {input_count}u, spikeloop_inputs,
    {steps}u, {ticks}u, {size}u, {start}u
}};

#endif
"""


def c_image(image: Image) -> str:
    """The header of an image of one core. Memories come first, then the settings."""
    runs: list[tuple[int, np.ndarray, bool]] = [
        (memory.base, _rows(image, memory.name), memory.readable) for memory in image.map.loaded
    ]
    registers = image.map.registers
    runs += [
        (registers[name].address, np.array([value]), True) for name, value in image.settings.items()
    ]
    firsts = np.cumsum([0, *(len(words) for _, words, _ in runs)]).tolist()
    output = image.placement.population(image.output)
    return HEAD.format(
        network=image.name.replace("*/", "* /"),
        steps=image.steps,
        ticks=image.ticks,
        inputs=_lines(
            f'{{"{i.name}", {i.first_axon}u, {i.size}u, {i.delay}u}}'
            for i in image.placement.inputs
        ),
        input_count=len(image.placement.inputs),
        size=output.size,
        start=output.start,
        words=_words(np.concatenate([words for _, words, _ in runs])),
        segments=_lines(
            f"{{0x{address << BYTE_BITS:x}u, {len(words)}u, {first}u, {int(readable)}}}"
            for (address, words, readable), first in zip(runs, firsts, strict=False)
        ),
        count=len(runs),
        fingerprint=image.chip.fingerprint(),
    )


def write_c_image(bundle: Bundle, folder: Path) -> list[Path]:
    """Write ``folder``/image.h; InputError for a bundle of many cores."""
    if not isinstance(bundle, Image):
        raise InputError(f"image for a C driver must be of one core, not a {bundle.kind}")
    return [write_atomic(folder / NAME, c_image(bundle).encode())]


def _rows(image: Image, name: str) -> np.ndarray:
    """The words of a memory as they lie on the bus, uint32; a row takes a power of two of them."""
    memory = image.map.memories[name]
    rows = image.words(name)[: load_rows(image, memory)]
    padded = np.zeros((len(rows), 1 << memory.chunk_bits), np.uint32)
    padded[:, : rows.shape[1]] = rows
    return padded.ravel()


def _words(words: np.ndarray) -> str:
    texts = [f"0x{word:x}u" for word in words.tolist()]
    return ",\n".join("    " + ", ".join(texts[at : at + 8]) for at in range(0, len(texts), 8))


def _lines(items: Iterable[str]) -> str:
    return ",\n".join(f"    {item}" for item in items)
