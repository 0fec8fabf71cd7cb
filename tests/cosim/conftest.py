"""A small network with every kind of field, its image on the tiny chip, and a stimulus.

Chips that nobody asks to optimise are built without: their models run little here. The optimised
builds are those of tests/whole.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from spikeloop.cosim.board import virtual
from spikeloop.cosim.board.virtual import build_board
from spikeloop.cosim.verilator import chip as verilated
from spikeloop.cosim.verilator.build import Options, build
from spikeloop.pysim.chip.params import Chip, preset
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.network.elements import Edge, Input, Population
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.cosim import FAST_BUILD


@dataclass(frozen=True)
class Small:
    """12 inputs, 9 hidden neurons, 3 outputs on ``tiny``; 6 samples of 5 steps.

    ``folder`` holds its files.
    """

    folder: Path
    network: Network
    image: Image
    stimulus: Stimulus


def small_network(name: str = "small", **hidden: object) -> Network:
    """12-9-3, 4-bit weights; ``hidden`` replaces parameters of the hidden population."""
    rng = np.random.default_rng(7)
    return Network(
        name=name,
        inputs=(Input(name="pixels", size=12),),
        steps=5,
        output="output",
        membrane_bits=24,
        populations=(
            Population.make(
                "hidden1",
                9,
                weight_bits=4,
                **{
                    "v_th": 5,
                    "bias": 1,
                    "k0": False,
                    "leak_sign": [[[1] * 9, [0] * 9, [0] * 9]],
                    "leak_shift": 1,
                    **hidden,
                },
            ),
            Population.make("output", 3, start=1, weight_bits=4, v_th=3, refractory=1),
        ),
        edges=(
            Edge(
                source="pixels",
                target="hidden1",
                weights=rng.integers(-4, 8, (12, 9), dtype=np.int32),
            ),
            Edge(
                source="hidden1",
                target="output",
                weights=rng.integers(-6, 8, (9, 3), dtype=np.int32),
            ),
        ),
    )


@pytest.fixture(autouse=True, scope="module")
def built_fast() -> Iterator[None]:
    """The default options of a chip's build are FAST_BUILD; boards are built likewise."""

    def fast(chip: Chip, options: Options) -> Path:
        return build(chip, FAST_BUILD if options == Options() else options)

    def fast_board(chip: Chip, divisor: int | None = None, *, optimise: bool = False) -> Path:
        return build_board(chip, divisor, optimise=False)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verilated, "build", fast)
        patch.setattr(virtual, "build_board", fast_board)
        yield


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    folder = tmp_path_factory.mktemp("small")
    network = small_network()
    image = pack(network, chip=preset("tiny"))
    rng = np.random.default_rng(11)
    stimulus = Stimulus.pack(
        {"pixels": (rng.random((6, 5, 12)) < 0.4).astype(np.uint8)}, rng.integers(0, 3, 6)
    )
    network.save(folder / "network.safetensors")
    image.save(folder / "image")
    stimulus.save(folder / "stimulus.npz")
    return Small(folder, network, image, stimulus)
