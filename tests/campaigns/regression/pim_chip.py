"""The regression of a chip with a PIM macro: random layers and neurons, RTL against pysim.

Compared are every current, spike, membrane and counter of every tick, the PIM layer's cycles among
them. The native harness fills the image in directly. The first network also runs over the load port
and the event streams alone, as a board would be driven.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from spikeloop.cosim.compare.diff import Side, diff
from spikeloop.cosim.link import LinkBackend
from spikeloop.cosim.verilator.chip import ChipModel
from spikeloop.pysim.chip.memory_map import PIM
from spikeloop.pysim.chip.params import BUS_BITS, Chip
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.model.core import Core
from spikeloop.pysim.network.elements import Edge, Input, Population, Reset
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.pim.front import PimFront
from spikeloop.pysim.pim.layer import MAX_SHIFT, PimParams
from spikeloop.pysim.pim.source import PimSource
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.campaigns.regression.pins import host_differences, read_full_row
from tests.make.neurons.states import random_states
from tests.make.pim_cases import random_images, random_layer, random_window

__all__ = ["FRONT", "differences"]

# Each stage is the slowest for some layer: collecting for full row groups, the macro for short row
# groups, currents for many channels.
FRONT = PimFront(
    macro=PimParams(
        banks=2,
        columns=16,
        rows=32,
        weight_bits=4,
        active_rows=8,
        share=1,
        adc_bits=6,
        current_bits=12,
        ir_drop=True,
    ),
    pixels=512,
    positions=64,
    currents=64,
)
NETWORKS, SAMPLES = 12, 4


def random_case(
    rng: np.random.Generator,
    chip: Chip,
    *,
    held: bool,
    shift: int | None = None,
    channels: int | None = None,
) -> tuple[Network, Stimulus]:
    """A layer in front of up to 64 neurons, which also have 5 spike lines.

    Half of the neurons rectify; start ticks are random. ``shift`` and ``channels`` replace those
    of the layer.
    """
    assert chip.pim
    while True:
        window = random_window(rng, int(rng.choice([3, 9, 16])))
        count = channels or int(rng.integers(1, 25))
        fits = count * window.positions <= chip.pim.currents and (
            window.positions > 1 or rng.random() < 0.1
        )
        if (
            fits
            and -(-count // chip.pim.macro.capacity) * -(-window.rows // chip.pim.macro.active_rows)
            <= chip.pim.macro.groups
        ):
            break
    layer = random_layer(rng, chip.pim.macro, window, channels=count, stuck=0.05)
    if shift is not None:
        layer = replace(layer, shift=shift)
    size, start = layer.channels * layer.window.positions, int(rng.integers(0, 3))
    spread = max(4, int(np.abs(layer.bias).mean()) + 20)
    v_th = rng.integers(1, 2 * spread, size)
    driven = Population.make(
        "driven",
        size,
        start=start,
        weight_bits=4,
        v_th=v_th,
        v_sub=v_th,
        bias=rng.integers(-9, 10, size),
        rectify=rng.random(size) < 0.5,
        reset=rng.choice([Reset.SOFT, Reset.HARD], size),
        leak_sign=[[[-1], [0], [0]]],
        leak_shift=[[[2], [0], [0]]],
        **random_states(rng, chip, 1, size, spread),
    )
    out = Population.make("out", 3, start=start + 1, weight_bits=4, v_th=4)
    edges = (
        Edge(
            source="lines", target="driven", weights=rng.integers(-8, 8, (5, size)).astype(np.int32)
        ),
        Edge(
            source="driven", target="out", weights=rng.integers(-4, 8, (size, 3)).astype(np.int32)
        ),
    )
    network = Network(
        name="driven",
        inputs=(Input(name="lines", size=5),),
        populations=(driven, out),
        edges=edges,
        steps=4,
        output="out",
        membrane_bits=chip.membrane_bits,
        current_bits=chip.current_bits,
        adaptation_bits=chip.adaptation_bits,
        pim=PimSource.make("pixels", "driven", layer, held=held),
    )
    images = random_images(rng, layer, SAMPLES).reshape(SAMPLES, -1).astype(np.uint8)
    return network, Stimulus.pack(
        {"lines": rng.integers(0, 2, (SAMPLES, 4, 5))}, None, {"pixels": images}
    )


def differences(
    model: ChipModel, chip: Chip, count: int = NETWORKS, *, seed: int = 0
) -> Iterator[str]:
    """The first difference of each network; nothing for a right chip."""
    assert chip.pim
    macro = chip.pim.macro
    for i in range(count):
        network, stimulus = random_case(
            np.random.default_rng([seed, i]),
            chip,
            held=i % 2 == 0,
            shift=MAX_SHIFT if i == 1 else None,  # which alone has the highest bit
            channels=macro.groups * macro.capacity if i == 2 else None,  # and so have all of these
        )
        image = pack(network, chip=chip)
        want = Core(image, "numpy").run(stimulus)
        if i == 0:
            pair = diff(
                network, Side("pysim", want), Side("RTL", LinkBackend(model, image).run(stimulus))
            )
            if pair.first:
                yield f"network {i}, over the link, {pair.first}"
        else:
            model.fill(image)
        read_full_row(model)
        pair = diff(network, Side("pysim", want), Side("RTL", model.run(image, stimulus)))
        if pair.first:
            yield f"network {i}, {pair.first}"

    def again() -> str | None:
        model.fill(image)
        pair = diff(network, Side("pysim", want), Side("RTL", model.run(image, stimulus)))
        return str(pair.first) if pair.first else None

    yield from _last_writes(model, np.random.default_rng([seed, 3]))
    yield from host_differences(model, np.random.default_rng([seed, 2]), again)


def _last_writes(model: ChipModel, rng: np.random.Generator) -> Iterator[str]:
    """What was written last is in its memory, though nothing follows: then the clock sleeps."""
    for memory in model.map.loaded:
        if not memory.name.startswith(PIM):
            continue
        row, bits = int(rng.integers(memory.rows)), min(BUS_BITS, memory.width)
        before = int(model.memory(memory.name)[row].view("<u4")[0]) & (1 << bits) - 1
        word = before ^ int(rng.integers(1, 1 << bits))
        model.write(memory.address(row), word)
        model.cycles(4)
        got = int(model.memory(memory.name)[row].view("<u4")[0]) & (1 << bits) - 1
        if got != word:
            yield f"row {row} of {memory.name}, written last, is {word:#x}, {got:#x} in RTL"
