"""Inside the simulator: random networks on the chip, compared with pysim.

Seeds are in the names of the tests. SPIKELOOP_CHIP (JSON) is the chip of the build, SPIKELOOP_SEED
the first seed, SPIKELOOP_NETWORKS the number of networks.
"""

import json
import os

import cocotb
import numpy as np

from spikeloop.cosim.benches.chip import ChipBench
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.model.core import Core
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace
from tests.make.networks import random_network, random_stimulus

CHIP = Chip.from_dict(json.loads(os.environ["SPIKELOOP_CHIP"]))
SEED, NETWORKS = (
    int(os.environ.get("SPIKELOOP_SEED", "0")),
    int(os.environ.get("SPIKELOOP_NETWORKS", "3")),
)


def random_image(seed: int, samples: int = 1, **options: object) -> tuple[Image, Stimulus, Core]:
    """A random network's image, a stimulus for it, and pysim's model of it."""
    rng = np.random.default_rng(seed)
    network = random_network(rng, CHIP, **options)
    image = pack(network, chip=CHIP)
    return image, random_stimulus(rng, network, samples, 0.3), Core(image, engine="numpy")


def differences(expected: Trace, got: Trace, *, stalled: bool = False) -> list[str]:
    """The first differing place of each array.

    ``stalled``: the chip was held up, and its cycles must tell so exactly.
    """
    found = []
    for kind in ("spikes", "membranes", "counters"):
        for name, array in getattr(expected, kind).items():
            other = getattr(got, kind)[name]
            if stalled and name == "stalls":
                continue
            if stalled and name == "cycles":
                other = other - got.counters["stalls"]
            if not np.array_equal(array, other):
                at = tuple(int(i) for i in np.argwhere(array != other)[0])
                wrong = int((array != other).sum())
                found.append(
                    f"{kind} {name}{list(at)}: {other[at]}, not {array[at]} "
                    f"({wrong} of {array.size})"
                )
    return found


def leaving(core: Core, trace: Trace) -> list[int]:
    """Addresses of the output events of a trace, in their order."""
    return core.output_events(trace)[:, 2].tolist()


@cocotb.test()
@cocotb.parametrize(seed=range(SEED, SEED + NETWORKS))
async def random_networks(dut, seed: int) -> None:
    image, stimulus, core = random_image(seed, samples=2)
    bench = await ChipBench.start(dut, CHIP)
    await bench.load(image)
    dense = seed % 4 == 3
    trace = await bench.run(image, stimulus, dense=dense)
    expected = core.run(stimulus, dense=dense)
    assert differences(expected, trace) == []
    assert [address for address, _ in bench.received()] == leaving(core, expected)
