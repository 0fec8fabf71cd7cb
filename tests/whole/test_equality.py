"""Golden and pysim agree on random networks: spikes, membranes and saturations."""

import numpy as np
import pytest

from spikeloop.golden.reference.integer import IntegerTrace, run
from spikeloop.pysim.chip.params import PRESETS, Chip
from spikeloop.pysim.common.bits import unpack
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.model.core import Core
from spikeloop.pysim.model.ticks import numba_engine as fast
from spikeloop.pysim.network.elements import LeakRounding, LowBound, Reset, StateUse, WeightFormat
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.trace import Trace, recorded_states
from tests.make.networks import random_network, random_stimulus
from tests.make.neurons.states import WITH_STATES

CHIPS = {
    "tiny": PRESETS["tiny"],
    "narrow": PRESETS["tiny"].replace(membrane_bits=8, delay_max=3),
    "wide": PRESETS["tiny"].replace(membrane_bits=32, columns=128, lanes=16),
    "digits2": PRESETS["tiny"].replace(digit_bits=2, columns=96, lanes=10, axons=70),
    "digits4": PRESETS["tiny"].replace(digit_bits=4, columns=256, lanes=24, pages=8, page_shift=2),
    "digits8": PRESETS["tiny"].replace(digit_bits=8, columns=1024, lanes=70, axons=130),
    "one_word": PRESETS["tiny"].replace(digit_bits=4, columns=128, lanes=48, axons=64, delay_max=3),
    "extended": PRESETS["tiny"].replace(axons=20, extension=8, pages=2),
    "states": WITH_STATES,
    "narrow_states": PRESETS["tiny"].replace(
        membrane_bits=12, current_bits=8, adaptation_bits=8, page_shift=2
    ),
    "wide_states": PRESETS["tiny"].replace(
        membrane_bits=32, columns=128, lanes=16, current_bits=32, adaptation_bits=31
    ),
    "currents": PRESETS["tiny"].replace(current_bits=20, leak_terms=1, roundings=False),
    "adaptations": PRESETS["tiny"].replace(adaptation_bits=10, leak_terms=2, refractory_bits=0),
    "poor": PRESETS["tiny"].replace(
        leak_terms=1, refractory_bits=0, roundings=False, bounded=False, pages=1, delay_max=1
    ),
}
NETWORKS = 30  # of each chip


def assert_same(network: Network, golden: IntegerTrace, pysim: Trace) -> None:
    saturations = np.zeros((golden.saturations[network.output].shape[0], network.ticks), np.int64)
    spikes_out = np.zeros_like(saturations)
    for p in network.populations:
        spikes, membranes = golden.spikes[p.name], golden.membranes[p.name]
        np.testing.assert_array_equal(
            unpack(pysim.spikes[p.name], p.size), spikes, err_msg=f"spikes of {p.name}"
        )
        np.testing.assert_array_equal(
            pysim.membranes[p.name], membranes, err_msg=f"membranes of {p.name}"
        )
        for part in recorded_states(network, True)[1:]:
            np.testing.assert_array_equal(
                getattr(pysim, part)[p.name],
                getattr(golden, part)[p.name],
                err_msg=f"{part} of {p.name}",
            )
        ticks = slice(p.start, p.start + network.steps)
        saturations[:, ticks] += golden.saturations[p.name]
        spikes_out[:, ticks] += spikes.sum(axis=2, dtype=np.int64)
    np.testing.assert_array_equal(pysim.counters["saturations"], saturations)
    np.testing.assert_array_equal(pysim.counters["spikes_out"], spikes_out)


@pytest.mark.parametrize(
    "engine",
    [
        "numpy",
        pytest.param(
            "numba",
            marks=pytest.mark.skipif(
                not fast.AVAILABLE, reason="numba is not installed: pip install -e '.[fast]'"
            ),
        ),
    ],
)
@pytest.mark.parametrize("chip", CHIPS.values(), ids=CHIPS)
def test_random_networks(chip: Chip, engine: str, seed: int) -> None:
    seen: dict[str, int] = {}
    for i in range(NETWORKS):
        rng = np.random.default_rng([seed, i])
        network = random_network(rng, chip)
        stimulus = random_stimulus(rng, network, samples=3)
        golden = run(network, stimulus.dense(network))
        trace = Core(pack(network, chip=chip), engine).run(stimulus)
        try:
            assert_same(network, golden, trace)
        except AssertionError:
            print(f"network {i} of seed {seed}")
            raise
        _count(seen, network, trace)
    assert {mode for mode in _modes(chip) if not seen.get(mode)} == set()


def _modes(chip: Chip) -> set[str]:
    """What must have been there, and active: equal silence proves nothing."""
    modes = {
        "spikes",
        "saturations",
        "paged",
        "recurrent",
        "delayed",
        "several",
        *(f"reset {r.name}" for r in Reset),
        *(f"format {f.name}" for f in WeightFormat),
    }
    modes |= {f"rounding {r.name}" for r in LeakRounding} if chip.roundings else set()
    modes |= {f"low {b.name}" for b in LowBound} if chip.bounded else set()
    uses = {StateUse.NEW.name, StateUse.OLD.name}
    modes |= {f"current {use}" for use in uses} if chip.current_bits else set()
    modes |= {f"adaptation {use}" for use in uses} if chip.adaptation_bits else set()
    modes |= {"refractory", "hold"} if chip.refractory_bits else set()
    modes -= set() if chip.pages > 1 else {"paged"}
    modes |= {f"pages of {1 << n} steps" for n in range(1, chip.page_shift + 1)}
    modes -= set() if chip.delay_max > 1 else {"delayed"}
    return modes


def _count(seen: dict[str, int], network: Network, trace: Trace) -> None:
    """Add to ``seen`` how often each mode acted."""

    def add(mode: str, count: int) -> None:
        seen[mode] = seen.get(mode, 0) + int(count)

    for name in ("spikes_out", "saturations"):
        add(name.removesuffix("_out"), trace.counters[name].sum())
    add("several", len(network.populations) > 1)
    add("recurrent", any(e.source == e.target for e in network.edges))
    between = [e for e in network.edges if not network.is_input(e.source)]
    add("delayed", any(network.physical_delay(e) > 1 for e in between))
    for p in network.populations:
        firing = unpack(trace.spikes[p.name], p.size).any(axis=(0, 1))
        add("paged", p.pages > 1)
        turns = p.pages > 1 and network.steps > 1 << p.page_shift
        add(f"pages of {1 << p.page_shift} steps", turns)
        add(f"format {p.weight_format.name}", firing.any())
        for r in Reset:
            add(f"reset {r.name}", (firing & (p.reset == r)).sum())
        leaking = (p.leak_sign != 0).any(axis=(0, 1))
        for q in LeakRounding:
            add(f"rounding {q.name}", ((p.rounding == q) & leaking).sum())
        for use in StateUse:
            for part, state in (("synaptic", "current"), ("adaptations", "adaptation")):
                moving = getattr(trace, part).get(p.name, np.zeros((1, 1, p.size))).any(axis=(0, 1))
                add(f"{state} {use.name}", (moving & (getattr(p, state) == use)).sum())
        for b in LowBound:
            add(f"low {b.name}", (p.low == b).sum())
        add("refractory", (firing & (p.refractory > 0)).sum())
        add("hold", (firing & (p.refractory > 0) & p.hold).sum())
