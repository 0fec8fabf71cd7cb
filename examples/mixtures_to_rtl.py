"""Dendritic neurons hear two mixtures, and the crossbar behind them says which sound is played.

    python examples/mixtures_to_rtl.py [SAMPLES]

Three sounds of 81 values are drawn. Four dendritic neurons learn, without a teacher, from mixtures
of the first with each of the others. Then they learn no more, and one sound at a time is played.
Their output spikes are events of a core of three neurons. It is compared with the same net before
it learnt. Golden, pysim and RTL agree in every value (docs/dendritic.md, "In a network").
"""

import sys

import numpy as np

from spikeloop import Edge, Input, Network, Population, Stimulus, map_network, preset, verify
from spikeloop.cosim.dendrites.engines import open_engine
from spikeloop.pysim.dendrites.net import DendriticNet
from spikeloop.pysim.dendrites.sounds import Scene, scene, sounds, thresholds
from spikeloop.pysim.dendrites.source import DendriticSource, starts
from spikeloop.pysim.dendrites.state import fresh
from spikeloop.pysim.network.elements import Reset

STEPS, SHOWN, PASSES = 100, 400, 400  # of a sample; of a mixture in a pass; through both mixtures
NEURONS, WEIGHT_BITS = 4, 6
LOUD = 8  # 81 inputs spike more often than the paper's 1,353, and each spike counts less


def drawn() -> Scene:
    """Two mixtures of three sounds, every fifth band and every fourth frame of them."""
    return scene(sounds()[..., ::5, ::4], 2, np.random.default_rng(0))


def heard(made: Scene, passes: int) -> DendriticSource:
    """The net that heard both mixtures ``passes`` times. It learns four times as fast as usual."""
    mixtures = LOUD * thresholds(made.mixtures)
    net = DendriticNet.make(
        {
            "inputs": mixtures.shape[1],
            "neurons": NEURONS,
            "impulse": 21408 // LOUD,
            "g_max": 104858,
            "rate": 4 * 53687,
            "decay": 17,
        }
    )
    engine, state = open_engine("pysim", net, mixtures), fresh(net, 0)
    still = DendriticSource(input="neurons", net=net, state=state).frozen().net
    for turn in range(passes + 3):  # the first three are for mean and variance alone
        for mixture in mixtures:
            shown = still if turn < 3 else net
            state = engine.run(shown, mixture, state, SHOWN, learn=True, record=False).state
    louder = net.with_(spike_gain=65535)  # an output spike with probability f
    return DendriticSource(input="neurons", net=louder, state=state).frozen()


def played(made: Scene, samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Starts of samples that play one sound after the other, and the sounds' numbers."""
    labels = np.arange(samples) % made.sounds
    tones = LOUD * thresholds(made.probes[: made.sounds])
    return starts(tones[labels], seed + np.arange(samples)), labels


def network(source: DendriticSource, made: Scene) -> Network:
    """Three neurons behind the net. The largest membrane names the nearest mean response."""
    given, labels = played(made, 60, 1000)
    engine = open_engine("pysim", source.net, given[:1, 1:])
    rates = np.zeros((len(given), NEURONS))
    for sample, (seed, *tone) in enumerate(given.tolist()):
        state = source.state.seeded(seed)
        spikes = engine.run(source.net, np.array(tone), state, STEPS, learn=True).field("s")
        rates[sample] = spikes.mean(0)
    means = np.array([rates[labels == sound].mean(0) for sound in range(made.sounds)])
    scale = (2 ** (WEIGHT_BITS - 1) - 1) / means.max()
    bias = np.rint(-scale * (means**2).sum(1) / 2).astype(int)
    return Network(
        name="mixtures",
        inputs=(Input(name="neurons", size=NEURONS),),
        populations=(
            Population.make(
                "sound", len(means), weight_bits=WEIGHT_BITS, bias=bias, v_th=1, reset=Reset.NONE
            ),
        ),
        edges=(
            Edge(
                source="neurons", target="sound", weights=np.rint(scale * means.T).astype(np.int32)
            ),
        ),
        steps=STEPS,
        output="sound",
        readout="membrane",
        dendritic=source,
    )


def main(samples: int = 150, backends: tuple[str, ...] = ("golden", "pysim", "verilator")) -> None:
    made = drawn()
    given, labels = played(made, samples, 5000)
    stimulus, scores = Stimulus.pack({}, labels, starts={"neurons": given}), []
    for passes in (0, PASSES):
        behind = network(heard(made, passes), made)
        image = map_network(behind, preset("tiny"))
        result = verify(behind, image, stimulus, backends)
        print(*result.pairs, sep="\n")
        assert result.equal, result.failures()
        cycles = [result.total("dendritic_cycles", name) for name in ("pysim", backends[-1])]
        print(f"cycles of steps and events: predicted {cycles[0]:,}, measured {cycles[1]:,}")
        print(f"cycles: predicted {result.cycles_predicted:,}, measured {result.cycles_measured:,}")
        scores.append(result.score(backends[-1]))
    print(f"accuracy: before learning {scores[0]:.1%}, behind it {scores[1]:.1%}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
