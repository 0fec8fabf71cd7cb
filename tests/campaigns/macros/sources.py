"""A chip with a source in front of its core: random nets and neurons, RTL against pysim.

    python -m tests.campaigns.macros.sources [CHIP [NETWORKS [SEED]]]

Compared are every last value of the source, every spike, membrane and counter of every tick, the
cycles of runs and events among them. The native harness fills the image in directly. The first
network also runs over the load port alone, as a board would be driven.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from spikeloop.cosim.compare.diff import Side, diff
from spikeloop.cosim.compare.pair import Pair
from spikeloop.cosim.front import Traffic
from spikeloop.cosim.link import LinkBackend
from spikeloop.cosim.verilator.build import Options
from spikeloop.cosim.verilator.chip import ChipModel
from spikeloop.pysim.chip.memory_map import CONTROL_CLEAR, CONTROL_RUN, CONTROL_SEND, CONTROL_TICK
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.dendrites.source import DendriticSource
from spikeloop.pysim.dendrites.source import starts as starts_of
from spikeloop.pysim.dendritic.params import DendriticParams
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.model.core import Core
from spikeloop.pysim.network.elements import Edge, Input, Population
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.onn import numpy_engine
from spikeloop.pysim.onn.params import OnnParams
from spikeloop.pysim.oscillators.source import OnnSource
from spikeloop.pysim.sources.kinds import source_of
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace
from tests.campaigns.regression.pins import host_differences
from tests.make.dendrites.random import random_case as random_case_of_dendrites
from tests.make.onn.random import random_net

__all__ = ["CHIPS", "differences", "random_case"]

PLAIN = Chip(axons=70, columns=64, lanes=8, membrane_bits=12, delay_max=3, leak_terms=1)
CHIPS = {
    "relaxation": PLAIN.replace(
        onn=OnnParams(oscillators=9, lanes=4, coupling_bits=8, v_frac=20, x_frac=14)
    ),
    "phase": PLAIN.replace(onn=OnnParams(cell="phase", oscillators=11, lanes=4, coupling_bits=5)),
    "dendritic": PLAIN.replace(dendritic=DendriticParams(inputs=13, neurons=3, stimuli=1)),
}
NETWORKS, SAMPLES = 14, 3  # of oscillators number 12 settles
STEPS = {"onn_": 3, "dendritic_": 12}


def random_case(
    rng: np.random.Generator, chip: Chip, *, delays: int = 2
) -> tuple[Network, Stimulus]:
    """A source in front of 6 neurons and, a tick or two later, 3 more; 5 other lines beside.

    delays: 1: the first neurons hear the source at tick 0; 2: or at tick 1.
    """
    assert chip.front
    source, starts = (_oscillators if chip.onn else _dendrites)(rng, chip)
    size, steps = source.size, STEPS[chip.front.prefix]
    start = int(rng.integers(1, 3))

    def population(name: str, size: int, start: int) -> Population:
        v_th = rng.integers(1, 12, size)
        return Population.make(name, size, start=start, weight_bits=4, v_th=v_th, v_sub=v_th)

    def edge(source: str, target: str, shape: tuple[int, int], delay: int = 0) -> Edge:
        weights = rng.integers(-8, 8, shape).astype(np.int32)
        return Edge(source=source, target=target, weights=weights, delay=delay)

    network = Network(
        name="fed",
        inputs=(Input(name="lines", size=5), Input(name="pixels", size=size)),
        populations=(population("near", 6, 0), population("far", 3, start)),
        edges=(
            edge("lines", "near", (5, 6)),
            edge("pixels", "near", (size, 6), int(rng.integers(0, delays))),
            edge("pixels", "far", (size, 3)),  # a second group of axons
            edge("near", "far", (6, 3)),
        ),
        steps=steps,
        output="far",
        membrane_bits=chip.membrane_bits,
        **{"onn" if chip.onn else "dendritic": source},
    )
    lines = rng.integers(0, 2, (SAMPLES, steps, 5))
    return network, Stimulus.pack({"lines": lines}, starts={"pixels": starts})


def _oscillators(rng: np.random.Generator, chip: Chip) -> tuple[Any, np.ndarray]:
    """Oscillators that feed "pixels", and starts."""
    assert chip.onn
    net = random_net(rng, chip.onn).with_(
        steps_max=int(rng.integers(1, 400)), settle=int(rng.integers(0, 3))
    )
    starts = rng.integers(0, min(net.start_max + 1, 60), (SAMPLES, net.size))
    return OnnSource(input="pixels", net=net), starts.astype(np.uint16)


def _dendrites(rng: np.random.Generator, chip: Chip) -> tuple[Any, np.ndarray]:
    """Dendritic neurons likewise; most of them spike, and some do not learn."""
    assert chip.dendritic
    case = random_case_of_dendrites(rng, chip.dendritic)
    net, size = case.net, (SAMPLES, case.net.inputs)
    if rng.random() < 0.7:
        early, gain = int(rng.integers(0, 6)), int(rng.choice([6000, 30000, 65535]))
        net = net.with_(warm_up=early, spike_gain=gain)
    state = replace(case.state, age=max(1, case.state.age))  # one that is seen when it is read
    source = DendriticSource(input="pixels", net=net, state=state)
    source = source if rng.random() < 0.7 else source.frozen()
    thresholds = rng.integers(0, rng.choice([20, 6000, 65535], (SAMPLES, 1)) + 1, size)
    return source, starts_of(thresholds, rng.integers(0, 65536, SAMPLES))


def differences(
    model: ChipModel,
    chip: Chip,
    count: int = NETWORKS,
    *,
    seed: int = 0,
    totals: Counter[str] | None = None,
) -> Iterator[str]:
    """The first difference of each network; nothing for a right chip. totals: counted up."""
    for i in range(count):
        rng = np.random.default_rng([seed, i])
        network, stimulus = random_case(rng, chip, delays=2 if i else 1)
        image = pack(network, chip=chip)
        want = Core(image).run(stimulus)
        if i == 0:
            model.zero()
            try:
                over_link = LinkBackend(model, image).run(stimulus)
            except InputError as error:  # the image does not read back
                yield f"network {i}, over the link, {error}"
                return
            yield from _found(f"network {i}, over the link, ", network, want, over_link, totals)
        else:
            model.fill(image)
        yield from _at_once(model, image, stimulus.take(slice(0, 1)))
        yield from _found(f"network {i}, ", network, want, model.run(image, stimulus), totals)

    def again() -> str | None:
        model.fill(image)
        return next(_found("", network, want, model.run(image, stimulus), totals), None)

    yield from host_differences(model, np.random.default_rng([seed, 2]), again)


def _at_once(model: ChipModel, image: Image, stimulus: Stimulus) -> Iterator[str]:
    """Clear, run, send and tick given in one word are taken in this order.

    Reads of the source's memories that come right behind wait, and disturb nothing.
    """
    silent = {"lines": np.zeros_like(stimulus.spikes["lines"])}
    stimulus = replace(stimulus, spikes=silent)
    want = Core(image).run(stimulus).counters
    source, registers = source_of(image), image.map.registers
    assert source
    if not (sent := source.sent(0)):
        return
    traffic = Traffic(source, stimulus)
    for address, word in zip(traffic.written.tolist(), traffic.words[0].tolist(), strict=True):
        model.write(address, word)
    axon, delay = sent[0]
    model.write(registers[f"{source.prefix}axon"].address, axon)
    if delayed := registers.get(f"{source.prefix}delay"):
        model.write(delayed.address, delay)
    before = model.counters()
    commands = CONTROL_CLEAR | CONTROL_RUN | CONTROL_SEND | CONTROL_TICK
    own = [m for m in image.map.memories.values() if m.name.startswith(source.prefix)]
    model.burst(
        [
            (registers["control"].address, commands),
            *((memory.address(row), None) for memory in own for row in range(memory.rows)),
        ]
    )
    model.idle(1 << 20)
    for name, count in model.counters().items():
        expected = int(want[name][0, 0])
        if name == f"{source.prefix}cycles":  # one group of axons, not all
            expected -= source.size * (len(sent) - 1)
        if name != "stalls" and count - before[name] != expected:
            yield f"commands at once: {name} is {expected} in pysim, {count - before[name]} in RTL"
    if register := registers.get(f"{source.prefix}settled"):
        most = source.net["steps_max"]
        longer = source.net.with_(steps_max=most + 1)
        run = numpy_engine.run(longer, stimulus.starts["pixels"][0], record=False)
        settled = int(run.steps <= most)
        if (got := model.read(register.address)) != settled:
            yield f"the last run: settled is {settled} in pysim, {got} in RTL"


def _found(
    where: str, network: Network, want: Trace, got: Trace, totals: Counter[str] | None
) -> Iterator[str]:
    pair: Pair = diff(network, Side("pysim", want), Side("RTL", got))
    if pair.first:
        yield f"{where}{pair.first}"
    if totals is not None:
        totals.update(
            {
                "neuron-ticks": pair.neuron_ticks,
                "last values": pair.ends,
                "counter values": pair.counter_values,
                "cycles of runs and events": sum(
                    int(counts.sum())
                    for name, counts in got.counters.items()
                    if name in ("onn_cycles", "dendritic_cycles")
                ),
            }
        )


def main(name: str | None = None, count: int = 200, seed: int = 0) -> int:
    for kind in (name,) if name else CHIPS:
        totals = Counter[str]()
        model = ChipModel(CHIPS[kind], Options(optimise=False))
        for text in differences(model, CHIPS[kind], count, seed=seed, totals=totals):
            print(f"{kind}: {text}")
            return 1
        compared = ", ".join(f"{number:,} {what}" for what, number in totals.items())
        print(f"{kind}: {count:,} networks, {compared}; 0 different")
    return 0


if __name__ == "__main__":
    given = sys.argv[1:]
    sys.exit(main(given[0] if given else None, *(int(n.replace(",", "")) for n in given[1:])))
