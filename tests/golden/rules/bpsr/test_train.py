"""BPSR on a small instance: it learns, prunes and repeats itself; on the RTL a pruned synapse costs
nothing."""

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from spikeloop.cosim.backends import open_backend
from spikeloop.golden.data.datasets import Dataset
from spikeloop.golden.data.encoders import Encoder
from spikeloop.golden.reference.integer import predict, run
from spikeloop.golden.rules.bpsa import train as bpsa_train
from spikeloop.golden.rules.bpsr import train as bpsr_train
from spikeloop.golden.rules.bpsr.net import BpsrNet
from spikeloop.golden.rules.bpsr.rewiring import RewiringConfig
from spikeloop.golden.rules.bpsr.train import BpsrConfig, integer_network, train
from spikeloop.pysim.bundle.program import Program
from spikeloop.pysim.chip.params import PRESETS
from spikeloop.pysim.common.bits import unpack
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace
from tests.make.rule_nets import FAST, check_refused, check_same_bits, small_mnist, spikes_on_rtl

SMALL = BpsrConfig(
    structure="2c3/2-r12-fc10",
    encoder=Encoder(steps=6, threshold=32),
    epochs=6,
    batch=32,
    shift=0,
    lr=2e-2,
    spike_cost=1e-4,
    weight_cost=3e-4,
    rewiring=RewiringConfig(theta_m=1e-3, theta_w=3e-2),
)
SAMPLES = 20


@pytest.fixture(scope="module")
def data() -> Dataset:
    """MNIST of 7 x 7 pixels, each the mean of 4 x 4."""
    return small_mnist(7, 7)


@pytest.fixture(scope="module")
def trained(data: Dataset) -> BpsrNet:
    return train(SMALL, data, progress=False)


@pytest.fixture(scope="module")
def network(trained: BpsrNet, data: Dataset) -> Network:
    return integer_network(trained, data, bits=4)[0]


def test_it_learns_prunes_and_says_so(trained: BpsrNet, network: Network, data: Dataset):
    about = network.metadata
    assert (
        about["rule"] == "bpsr" and about["synapses_dense"] == 18 * 9 + 18 * 12 + 12 * 12 + 12 * 10
    )
    assert (
        about["accuracy_float"] > 0.45 and about["accuracy_integer"] > about["accuracy_float"] - 0.1
    )  # chance is 0.1
    assert 200 < about["synapses"] == trained.synapses < 0.8 * about["synapses_dense"]
    assert [entry["synapses"] > 0 for entry in about["curve"]] == [True] * 6
    for layer in trained.layers:
        for weight in layer.weights:
            left = weight[weight != 0].abs()
            assert left.min() >= SMALL.rewiring.theta_w and weight.abs().max() <= 1  # type: ignore[union-attr]
    spikes = Encoder(**about["encoder"])(data.test_images)
    assert (predict(network, run(network, {"input": spikes})) == data.test_labels).mean() == about[
        "accuracy_integer"
    ]
    assert (
        sum(int((e.fanout()).sum()) for e in network.edges) <= trained.synapses
    )  # PTQ may round more to 0, never less


def test_two_trainings_and_a_resumed_one_give_the_same_bits(data: Dataset, tmp_path):
    curves = []

    def made(config: BpsrConfig, few: Dataset, **options: object) -> Network:
        network = integer_network(train(config, few, **options), few)[0]
        curves.append(network.metadata["curve"])
        return network

    check_same_bits(made, replace(SMALL, epochs=2), data, tmp_path)
    assert curves[0] == curves[1] == curves[2] != curves[3]


def test_without_rewiring_every_synapse_stays(data: Dataset):
    net = train(replace(SMALL, epochs=1, rewiring=None), data, progress=False)
    assert net.metadata["synapses"] == net.metadata["synapses_dense"]


def test_scales_by_the_loss_keep_at_least_the_score(trained: BpsrNet, data: Dataset):
    """On the images of the search, whose loss they choose; 3 bits show what 4 hide."""
    images, labels = data.train_images[:400], data.train_labels[:400]
    few = replace(
        data, train_images=images, train_labels=labels, test_images=images, test_labels=labels
    )
    scores = {}
    for scale in ("layer", "loss"):
        network, report = integer_network(trained, few, bits=3, scale=scale)
        scores[scale] = network.metadata["accuracy_integer"]
        assert report["scale"] == {"layer": "layer", "loss": "given"}[scale]
    print(scores, trained.metadata["accuracy_float"])
    assert scores["loss"] > scores["layer"]


def sops(network: Network, stimulus: Stimulus) -> tuple[int, Trace]:
    """Of the Verilated chip; golden and pysim agree with it on everything they count and hold."""
    program = spikes_on_rtl(network, stimulus, PRESETS["tiny"])
    assert isinstance(program, Program)
    with open_backend("verilator", network, program, **FAST) as chip:
        trace = chip.run(stimulus)
    return int(trace.counters["sops"].sum()), trace


def test_the_rtl_runs_it_and_pruned_synapses_cost_nothing(network: Network, data: Dataset):
    """SOPs of the RTL are the spikes times the synapses left. Those of the dense net would be more,
    and synapses that are put back show in them."""
    spikes = Encoder(**network.metadata["encoder"])(data.test_images[:SAMPLES])
    stimulus = Stimulus.pack({"input": spikes})
    counted, trace = sops(network, stimulus)
    sent = {"input": spikes} | {
        p.name: unpack(trace.spikes[p.name], p.size) for p in network.populations
    }
    left = dense = 0
    for edge in network.edges:
        arrived = sent[edge.source][:, : network.steps - edge.delay].sum((0, 1), dtype=np.int64)
        left += int(arrived @ edge.fanout())
        full = replace(edge, weights=np.ones_like(edge.weights))
        dense += int(arrived @ full.fanout())
    print(f"{counted:,} SOPs of the RTL for {SAMPLES} samples; {dense:,} without pruning")
    assert counted == left < 0.9 * dense
    last = network.edges[-1]
    assert last.target == "output" and (last.weights == 0).any()
    filled = np.where(last.weights == 0, 1, last.weights).astype(np.int32)
    whole = replace(network, edges=(*network.edges[:-1], replace(last, weights=filled)))
    more, _ = sops(whole, stimulus)  # the layers before it spike as ever
    assert (
        more - counted
        == int(sent[last.source].sum((0, 1), dtype=np.int64) @ (last.weights == 0).sum(1))
        > 0
    )


@pytest.mark.parametrize(
    "encoder",
    [Encoder(name="rate", steps=6), Encoder(name="level_crossing", steps=7, threshold=48)],
    ids=lambda encoder: encoder.name,
)
def test_other_encoders_reach_the_rtl(encoder: Encoder, data: Dataset):
    """Rate on the image; level crossing on its columns, 14 lines, to a recurrent net."""
    structure = "2c3/2-r12-fc10" if encoder.name == "rate" else "r16-fc10"
    net = train(
        replace(SMALL, encoder=encoder, structure=structure, epochs=3), data, progress=False
    )
    assert net.metadata["accuracy_float"] > 0.4 and net.sizes[0] == (
        49 if encoder.name == "rate" else 14
    )
    network = integer_network(net, data, bits=4)[0]
    assert network.metadata["accuracy_integer"] > net.metadata["accuracy_float"] - 0.1
    counted, trace = sops(network, Stimulus.pack({"input": encoder(data.test_images[:SAMPLES])}))
    assert counted > 0 and all(trace.spikes[p.name].any() for p in network.populations)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"structure": "2c3/2-fc9"}, "structure of a net must end with at least fc10"),
        ({"structure": "fc10-2c3"}, "structure of a net must be layers c, r, fc"),
        (
            {"rewiring": {"theta_m": -1.0}},
            r"theta_m of the rewiring must be a number of at least 0, not -1\.0",
        ),
        ({"rewiring": {"beta_m": 1.5}}, r"beta_m of the rewiring must be in 0\.\.1, not 1\.5"),
        (
            {"weight_cost": -1.0},
            r"weight_cost of the training must be a number of at least 0, not -1\.0",
        ),
        (
            {"encoder": Encoder(name="level_crossing", steps=8)},
            "steps of the encoder must be the side of the square images",
        ),
    ],
)
def test_wrong_settings_are_refused(change: dict, message: str, data: Dataset):
    with pytest.raises(InputError, match=message):
        if "rewiring" in change:
            change = {"rewiring": RewiringConfig(**change["rewiring"])}
        train(replace(SMALL, **change), data, progress=False)


@pytest.mark.parametrize("module", [bpsr_train, bpsa_train], ids=["bpsr", "bpsa"])
@pytest.mark.parametrize(
    "words, message",
    [
        (["--bits", "1"], "bits of a weight must be in 2..16, not 1"),
        (["--structure", "fc10-8c5"], "structure of a net must be layers"),
        (["--steps", "0"], "steps of the encoder must be in 1..65536, not 0"),
        (["--data", "nowhere"], "data folder must be a folder"),
    ],
)
def test_command_lines_that_cannot_work_exit_2(
    module: ModuleType,
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    check_refused(module, words, message, tmp_path, monkeypatch, capsys)
