"""Cases of a mesh: random recurrent networks over all cores, and those that only a mesh has."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from spikeloop.pysim.bundle.mesh import MeshImage, map_mesh
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.chip.records import ROUTE_LOCAL, ROUTE_PACKET
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.model.mesh import MeshModel
from spikeloop.pysim.network.elements import Edge, Input, Population
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace
from tests.campaigns.regression.mesh.networks import random_mesh_network, random_shares
from tests.make.networks import random_stimulus

__all__ = ["NETWORKS", "Case", "distant_case", "features", "loud_image", "mesh_case", "mesh_cases"]

NETWORKS, SAMPLES, DENSITY = 5, 3, 0.15


@dataclass(frozen=True)
class Case:
    """A network on a mesh, a stimulus, and what pysim says of every core."""

    network: Network
    image: MeshImage
    stimulus: Stimulus
    model: MeshModel
    traces: list[Trace]


def mesh_case(
    rng: np.random.Generator, chip: Chip, samples: int = SAMPLES, engine: str | None = "numpy"
) -> Case:
    """A random network that the mesh of ``chip`` holds, spread over its cores at random."""
    for _ in range(100):
        try:
            network = random_mesh_network(rng, chip)
            image = map_mesh(network, chip, random_shares(rng, network, chip.derived.cores))
        except InputError:
            continue
        return _case(network, image, random_stimulus(rng, network, samples, DENSITY), engine)
    raise AssertionError("no network of 100 fitted the mesh")


def distant_case(chip: Chip) -> Case:
    """Only the first core fires, and only at the last core.

    Its packets fly over ten hops while no core has anything to do.
    """
    network = Network(
        name="distant",
        inputs=(Input(name="x", size=1),),
        steps=4,
        output="heard",
        membrane_bits=chip.membrane_bits,
        populations=(
            Population.make("told", 1, weight_bits=2),
            Population.make("heard", 1, start=1, weight_bits=2),
        ),
        edges=tuple(
            Edge(source=source, target=target, weights=np.ones((1, 1), np.int32))
            for source, target in (("x", "told"), ("told", "heard"))
        ),
    )
    shares = [
        {"told": np.arange(1)},
        *({} for _ in range(chip.derived.cores - 2)),
        {"heard": np.arange(1)},
    ]
    stimulus = Stimulus.pack({"x": np.ones((1, network.steps, 1), np.uint8)})
    return _case(network, map_mesh(network, chip, shares), stimulus, "numpy")


def _case(network: Network, image: MeshImage, stimulus: Stimulus, engine: str | None) -> Case:
    model = MeshModel(image, engine)
    return Case(network, image, stimulus, model, model.run(stimulus))


def loud_image(chip: Chip) -> MeshImage:
    """Every core fires the same number of neurons in every tick, all of them to the host."""
    cores, size = chip.derived.cores, chip.lanes
    network = Network(
        name="loud",
        inputs=(Input(name="x", size=1),),
        steps=1,
        output="all",
        membrane_bits=chip.membrane_bits,
        populations=(Population.make("all", cores * size, weight_bits=2, v_th=0),),
        edges=(Edge(source="x", target="all", weights=np.ones((1, cores * size), np.int32)),),
    )
    return map_mesh(network, chip, [{"all": n * size + np.arange(size)} for n in range(cores)])


def mesh_cases(chip: Chip, count: int = NETWORKS, *, seed: int = 0) -> Iterator[Case]:
    """Cases, the same for the same arguments.

    Together they have chains, multicasts, several delays, and packets to the sender itself.
    """
    yield distant_case(chip)
    for i in range(count):
        yield mesh_case(np.random.default_rng([seed, i, chip.derived.cores]), chip)


def features(case: Case) -> dict[str, int]:
    """How many route entries of each kind the case has: a list of what it can find."""
    found = dict.fromkeys(
        (
            "own axons",
            "packets",
            "multicasts",
            "packets to the sender",
            "further entries",
            "delays above 3",
        ),
        0,
    )
    for n, core in case.model.cores.items():
        x, y = case.model.mesh.core(n)
        r = core.neurons.route
        packet = r["kind"] == ROUTE_PACKET
        found["own axons"] += int((r["kind"] == ROUTE_LOCAL).sum())
        found["packets"] += int(packet.sum())
        found["multicasts"] += int((packet & ((r["x0"] != r["x1"]) | (r["y0"] != r["y1"]))).sum())
        found["packets to the sender"] += int(
            (packet & (r["x0"] <= x) & (x <= r["x1"]) & (r["y0"] <= y) & (y <= r["y1"])).sum()
        )
        found["further entries"] += int((core.neurons.entries - 1).sum())
        found["delays above 3"] += int((packet & (r["delay"] > 3)).sum())
    return found
