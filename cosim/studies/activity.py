"""Event-driven against dense, as pictures (docs/cost.md).

    python -m spikeloop.cosim.studies.activity [FOLDER]

activity.svg   cycles against activity, for the four-spike LeNet on 225 cores and an MLP on one,
               each as a share of dense mode
layers.svg     synaptic operations and the model's energy of each layer of that LeNet, on real
               images

Cycles and SOPs are pysim's, which are the RTL's. The MLP has random weights (seeded): only its
hidden spikes matter.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.pysim.bundle.program import compile_program
from spikeloop.pysim.chip.params import preset
from spikeloop.pysim.common.files import write_atomic
from spikeloop.pysim.cost.work import Constants, Work, measure
from spikeloop.pysim.network.elements import Edge, Input, Population
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus

__all__ = ["FOLDER", "mlp", "spread", "write"]

FOLDER = Path("docs/images")
DENSITIES = np.array([0, 1, 2, 5, 10, 15, 20, 30, 40, 50, 60, 70, 80, 90, 100]) / 100
TRIES = 2  # random stimuli at each density
IMAGES = 50
SEED = 1


def spread(network: Network, densities: np.ndarray, tries: int, seed: int = SEED) -> Stimulus:
    """``tries`` random samples at each density.

    In each step exactly that share of the lines is active.
    """
    rng = np.random.default_rng(seed)
    spikes = {}
    for node in network.inputs:
        ranks = rng.random((len(densities) * tries, network.steps, node.size)).argsort(axis=2)
        active = np.rint(densities.repeat(tries) * node.size)[:, None, None]
        spikes[node.name] = (ranks < active).astype(np.uint8)
    return Stimulus.pack(spikes)


def mlp(seed: int = SEED) -> Network:
    """The network 784-100-10 with random 8-bit weights and 8 steps."""
    rng = np.random.default_rng(seed)
    first, second = (
        np.clip(np.rint(rng.normal(0, 20, shape)), -128, 127).astype(np.int32)
        for shape in ((784, 100), (100, 10))
    )
    return Network(
        name="mlp",
        inputs=(Input(name="pixels", size=784),),
        steps=8,
        output="output",
        populations=(
            Population.make("hidden", 100, v_th=300),
            Population.make("output", 10, start=1, v_th=300),
        ),
        edges=(
            Edge(source="pixels", target="hidden", weights=first),
            Edge(source="hidden", target="output", weights=second),
        ),
    )


def write(
    folder: Path = FOLDER,
    *,
    densities: np.ndarray = DENSITIES,
    tries: int = TRIES,
    images: int = IMAGES,
) -> Iterator[Path]:
    """Measure, draw both pictures and print their figures; yields the files."""
    from spikeloop.golden.data.datasets import load_mnist
    from spikeloop.golden.rules.scatter_gather.net import checkpoint

    chip, net = preset("zou2021"), checkpoint("zou-lenet-4")
    network = net.to_network(readout_on_chip=True)
    real = Stimulus.pack(net.encode(load_mnist(None).test_images[:images]))
    name = network.inputs[0].name
    swept = spread(network, densities, tries)
    lenet = measure(
        compile_program(network, chip),
        Stimulus({name: np.concatenate([swept.spikes[name], real.spikes[name]])}),
    )
    count = len(densities) * tries
    one = mlp()
    small = measure(compile_program(one, chip), spread(one, densities, tries))
    curves = {"LeNet, four spikes, 225 cores": lenet, "784-100-10, 8 bits, one core": small}
    density = float(np.unpackbits(real.spikes[name]).sum() / (images * network.inputs[0].size))
    picture = _activity(curves, lenet, densities.repeat(tries), count, density)
    yield write_atomic(folder / "activity.svg", picture)
    rows = _slice(lenet, slice(count, None)).rows()
    yield write_atomic(folder / "layers.svg", _layers(rows, Constants()))


def _slice(work: Work, samples: slice) -> Work:
    """The work of some samples alone."""
    parts = {key: value[:, samples] for key, value in vars(work).items() if key != "layers"}
    return Work(work.layers, **parts)


def _activity(
    curves: dict[str, Work], lenet: Work, density: np.ndarray, count: int, real: float
) -> bytes:
    from spikeloop.cosim.studies.figures import LINES, svg
    from spikeloop.cosim.studies.figures import figure as new_figure

    figure, ((left, right),) = new_figure(1, 2, 10.2, 3.6, sharey=True)
    densities = np.unique(density)
    for (label, work), colour in zip(curves.items(), LINES, strict=False):
        ratio = _ratio(_slice(work, slice(count))).reshape(len(densities), -1).mean(axis=1)
        left.plot(densities * 100, ratio * 100, ".-", color=colour, label=label)
        points = (f"{d:.0%} {r:.1%}" for d, r in zip(densities, ratio, strict=True))
        print(f"{label}: {', '.join(points)}")
    images = _slice(lenet, slice(count, None))
    share = float(_ratio(images).mean())
    print(
        f"images: {real:.1%} of the input lines, {share:.2%} of dense, "
        f"{images.cycles.sum(axis=0).mean():,.0f} cycles"
    )
    left.plot(
        [real * 100], [share * 100], "*", markersize=13, color=LINES[0], label="LeNet, test images"
    )
    left.set_xlabel("active input lines in a step, %")
    left.set_ylabel("cycles, % of dense mode")
    for work, colour, label in (
        (_slice(lenet, slice(count)), LINES[0], "cores of LeNet, random input"),
        (images, LINES[1], "cores of LeNet, test images"),
    ):
        active, ratio = work.accumulate / work.dense_accumulate, work.cycles / work.dense_cycles
        right.plot(
            active.ravel() * 100,
            ratio.ravel() * 100,
            ".",
            markersize=2.5,
            markeredgewidth=0,
            color=colour,
            alpha=0.5,
            label=label,
            rasterized=True,
        )
    right.set_xlabel("active axons of the core, %")
    for axis in (left, right):
        axis.axhline(100, color="#888888", linestyle=(0, (4, 3)), linewidth=0.9, label="dense mode")
        axis.set_xlim(0, 102)
        axis.set_ylim(0, 108)
        axis.grid()
        axis.legend(
            frameon=False,
            loc="upper left",
            bbox_to_anchor=(0, 0.92),
            markerscale=5 if axis is right else 1,
        )
    left.set_title("whole network, by the density of its input")
    right.set_title("each core, by its own activity")
    return svg(figure, dpi=144)


def _ratio(work: Work) -> np.ndarray:
    return work.cycles.sum(axis=0) / work.dense_cycles.sum(axis=0)


def _layers(rows: list[dict[str, Any]], constants: Constants) -> bytes:
    from spikeloop.cosim.studies.figures import LINES, svg
    from spikeloop.cosim.studies.figures import figure as new_figure

    figure, ((left, right),) = new_figure(1, 2, 10.2, 2.9, sharey=True)
    names = [f"{row['layer']}, {row['cores']} core{'s' * (row['cores'] > 1)}" for row in rows]
    at = np.arange(len(rows))[::-1]
    labels = ("SOPs: non-zero synapses of events", "slots: events x columns")
    for axis, keys, scale, unit in (
        (left, ("sops", "slots"), 1e-6, "million a sample"),
        (right, ("energy_sops", "energy_slots"), 1e6, "µJ a sample"),
    ):
        for i, (key, label) in enumerate(zip(keys, labels, strict=True)):
            values = np.array([row[key] for row in rows]) * scale
            bars = axis.barh(at + 0.2 - 0.4 * i, values, 0.36, color=LINES[i], label=label)
            axis.bar_label(bars, [f"{v:.3g}" for v in values], padding=3, fontsize=8)
        axis.set_xlabel(unit)
        axis.set_xscale("log")
        axis.margins(x=0.12)
    left.set_yticks(at, names)
    figure.legend(
        *left.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False
    )
    left.set_title("work, counted")
    right.set_title(f"energy, modelled at {constants.energy_per_sop * 1e12:.2f} pJ each")
    return svg(figure, dpi=144)


if __name__ == "__main__":
    for path in write(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER):
        print(f"wrote {path}")
