"""Shared by tests of boards: a net that spikes a lot, a virtual board, hostile ports."""

import numpy as np

from spikeloop.cosim.board.session import Session
from spikeloop.cosim.board.virtual import BoardModel, Wire
from spikeloop.pysim.chip.params import preset
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.network.elements import Edge, Input, Population
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus

__all__ = ["Flood", "Mute", "noisy", "session"]


def session(chip, divisor: int | None = None, **options) -> tuple[BoardModel, Session]:
    """A virtual board of its own, and a session with it."""
    model = BoardModel(chip, divisor, optimise=False)
    return model, Session(Wire(model), **options)


def noisy(samples: int = 1, steps: int = 40) -> tuple[Network, Image, Stimulus]:
    """8-64 on ``tiny``, binary weights.

    All outputs spike in nearly every step, so that events fill queue and replies.
    """
    rng = np.random.default_rng(3)
    network = Network(
        name="noisy",
        inputs=(Input(name="x", size=8),),
        steps=steps,
        output="out",
        populations=(Population.make("out", 64, weight_bits=1, weight_format=1, v_th=1, k0=False),),
        edges=(Edge(source="x", target="out", weights=np.ones((8, 64), np.int32)),),
    )
    spikes = (rng.random((samples, steps, 8)) < 0.9).astype(np.uint8)
    return network, pack(network, chip=preset("tiny")), Stimulus.pack({"x": spikes})


class Mute:
    """A port where nobody answers; time passes as with a real one."""

    timeout = 0.01
    in_waiting = 0

    def __init__(self) -> None:
        self.sent = bytearray()

    def write(self, data: bytes) -> int:
        self.sent += data
        return len(data)

    def read(self, size: int = 1) -> bytes:
        return b""

    def close(self) -> None: ...


class Flood(Mute):
    """A device that never stops: random bytes, or one frame without end."""

    in_waiting = 4096

    def __init__(self, seed: int, endless: bool) -> None:
        super().__init__()
        self.rng, self.endless = np.random.default_rng(seed), endless

    def read(self, size: int = 1) -> bytes:
        return self.rng.integers(1 if self.endless else 0, 256, size, dtype=np.uint8).tobytes()
