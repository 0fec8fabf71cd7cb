"""The lesson of the bench on Brian2: its Python runs this file, which imports nothing of ours.

    PYTHON brian.py LESSON.npz RESULT.npz

Brian2 computes in float64 and in its numpy mode. The order of a tick is that of docs/plasticity.md:
conductances decay, spikes arrive, membranes step, spikes leave, and then the post events. Seconds
are of the processor, of the runs without the first, which compiles.
"""

import sys
import time
from typing import Any

import numpy as np

NEURON = "v : 1\nge : 1"
STEP = "v = clip(v + k_m * (ge * (e_exc - v) - v), 0, 1e9)"
POST = "w = clip(w + eta * (alpha + beta * exp(-(t / ms - last) / tau)) * w * (1 - w), 0, 1)"


def main(lesson: str, result: str) -> None:
    import brian2 as b  # type: ignore[import-not-found]

    b.prefs.codegen.target = "numpy"
    b.defaultclock.dt = 1 * b.ms
    with np.load(lesson) as file:
        given = dict(file)
    ticks, axons = given["spikes"].shape[1:]
    neurons = given["teacher"].shape[2]
    names = ("k_m", "e_exc", "eta", "alpha", "beta", "tau")
    constants = {name: float(given[name]) for name in names}
    none: dict[str, Any] = {"indices": [], "times": [] * b.ms, "when": "start"}
    axon_lines = b.SpikeGeneratorGroup(axons, **none, order=-1, name="axons")
    teacher = b.SpikeGeneratorGroup(neurons, **none, order=-1, name="teacher")
    group = b.NeuronGroup(
        neurons, NEURON, threshold="v >= v_th", reset="v = 0", namespace={"v_th": given["v_th"]}
    )
    keep = float(given["keep_e"])
    group.run_regularly(f"ge = ge * {keep!r}", when="start", order=-2)
    group.run_regularly(STEP, when="groups")
    group.namespace.update(constants)
    synapses = b.Synapses(
        axon_lines,
        group,
        "w : 1\nlast : 1",
        on_pre="ge_post += w\nlast = t / ms",
        on_post=POST,
        namespace=constants,
    )
    synapses.connect()
    synapses.w = given["weights"].reshape(-1)
    force = b.Synapses(teacher, group, on_pre=f"ge_post += {float(given['w_teach'])!r}")
    force.connect(j="i")
    for pathway in (synapses.pre, force.pre):
        pathway.when, pathway.order = "start", 0
    fired = b.SpikeMonitor(group, record=False)
    network = b.Network(axon_lines, teacher, group, synapses, force, fired)
    seconds = []
    for spikes, forced in zip(given["spikes"], given["teacher"], strict=True):
        group.v, group.ge, synapses.last = 0, 0, -1e9
        now = network.t
        for lines, bits in ((axon_lines, spikes), (teacher, forced)):
            tick, line = np.nonzero(bits)
            lines.set_spikes(line, now + tick * b.ms)
        start = time.process_time()
        network.run(ticks * b.ms)
        seconds.append(time.process_time() - start)
    np.savez(
        result,
        seconds=np.array(seconds[1:]),
        weights=np.asarray(synapses.w).reshape(axons, neurons),
        counts=np.asarray(fired.count),
        version=b.__version__,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
