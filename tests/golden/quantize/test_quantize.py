"""Real numbers to integers: rounding, clipping, leaks, thresholds; and what becomes of a net."""

import json
import math
from fractions import Fraction
from itertools import combinations, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloop.golden.nets.layers import FloatNet
from spikeloop.golden.quantize.layer import line_rates
from spikeloop.golden.quantize.leak import best_leak, integer_threshold, round_half_away, shift_leak
from spikeloop.golden.quantize.quantize import quantize
from spikeloop.golden.reference.integer import run
from spikeloop.golden.rules.bpsr.net import BpsrNet
from spikeloop.golden.rules.structure import structure
from spikeloop.golden.training.train import float_spikes
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.convolution import Conv
from spikeloop.pysim.network.graph import Network


def half_away(x: Fraction) -> int:
    return (1 if x >= 0 else -1) * math.floor(abs(x) + Fraction(1, 2))


@given(st.one_of(st.floats(-1e6, 1e6), st.integers(-999, 999).map(lambda n: n / 2)))
def test_rounding_is_exact(x: float):
    assert round_half_away(np.array([x])).tolist() == [half_away(Fraction(x))]


def test_rounding_of_ties_and_of_the_float_below_a_half():
    x = np.array([0.5, -0.5, 1.5, -1.5, 2.5, -2.5, 0.49999999999999994, -0.49999999999999994, 0.0])
    assert round_half_away(x).tolist() == [1, -1, 2, -2, 3, -3, 0, 0, 0]


@pytest.mark.parametrize(
    "theta, least, beyond",
    [(2.0, 2, 3), (2.25, 3, 3), (-2.25, -2, -2), (-2.0, -2, -1), (0.0, 0, 1)],
)
def test_thresholds(theta: float, least: int, beyond: int):
    assert (integer_threshold(theta), integer_threshold(theta, strict=True)) == (least, beyond)
    for u in range(-5, 6):
        assert (u >= least) == (u >= theta) and (u >= beyond) == (u > theta)


def test_thresholds_out_of_range_are_refused():
    assert (
        integer_threshold(127.0, membrane_bits=8) == 127
        and integer_threshold(-128.5, membrane_bits=8) == -128
    )
    for theta, strict in ((127.1, False), (127.0, True), (-129.0, False)):
        with pytest.raises(InputError, match=r"threshold must be in -128\.\.127 \(8 bits\), not"):
            integer_threshold(theta, strict=strict, membrane_bits=8)
    with pytest.raises(InputError, match="threshold must be finite, not nan"):
        integer_threshold(math.nan)


@pytest.mark.parametrize(
    "tau, k0, shift",
    [
        (0.0, False, None),
        (1.0, True, None),
        (0.5, False, 1),
        (0.25, False, 2),
        (0.76, True, None),
        (0.75, False, 1),
        (0.74, False, 1),
        (0.375, False, 2),
        (0.376, False, 1),
        (0.1, False, 3),
        (2.0**-24, False, 24),
        (2.0**-25, False, None),
        (1.1 * 2.0**-25, False, 24),
    ],
)
def test_tau_becomes_the_nearest_power_and_a_tie_the_larger_shift(
    tau: float, k0: bool, shift: int | None
):
    leak = shift_leak(tau)
    assert (leak.k0, leak.terms) == (k0, () if shift is None else ((1, shift),))
    assert leak.error == abs(leak.value - tau)


@settings(max_examples=40)
@given(tau=st.floats(0, 1), terms=st.integers(0, 3))
def test_best_leak_is_the_best(tau: float, terms: int):
    found = best_leak(tau, terms, max_shift=5)
    values = [
        k0 + sum(s * Fraction(1, 2**m) for s, m in zip(signs, shifts, strict=True))
        for k0 in (0, 1)
        for n in range(terms + 1)
        for shifts in combinations(range(6), n)
        for signs in product((-1, 1), repeat=n)
    ]
    error = min(abs(v - Fraction(tau)) for v in values)
    assert found.error == abs(found.value - tau) == pytest.approx(float(error), abs=1e-15)
    assert len(found.terms) <= terms


def test_best_leak_of_the_page():
    leak = best_leak(0.9)
    assert (leak.k0, leak.terms) == (True, ((-1, 3), (1, 5), (-1, 7)))
    assert round(leak.error, 4) == 0.0016
    assert best_leak(1.0).terms == () and best_leak(0.0).terms == () and not best_leak(0.0).k0
    assert best_leak(0.5) == shift_leak(0.5)  # the paper's form where it is exact
    for bad in (-0.1, 1.1, math.nan):
        for function in (best_leak, shift_leak):
            with pytest.raises(InputError, match=r"tau must be in 0\.\.1, not"):
                function(bad)
    with pytest.raises(InputError, match=r"terms of a leak must be in 0\.\.3, not 4"):
        best_leak(0.5, 4)


def small_net(*, recurrent: bool = True, seed: int = 0) -> tuple[FloatNet, np.ndarray, np.ndarray]:
    """A random net that spikes, and random samples labelled by it."""
    torch.manual_seed(seed)
    net = FloatNet(
        (30, 20, 5),
        recurrent=recurrent,
        metadata={"encoder": {"name": "rate", "steps": 9}, "accuracy_float": 1.0},
    )
    with torch.no_grad():
        for layer in net.layers:
            layer.tau.uniform_(0, 1)
            layer.bias.uniform_(-0.1, 0.3)
            layer.clamp_()
    spikes = (np.random.default_rng(seed).random((60, 9, 30)) < 0.3).astype(np.uint8)
    return net, spikes, float_spikes(net, spikes)[-1].sum(1, dtype=int).argmax(1)


@pytest.mark.parametrize("bits", [2, 4, 8, 16])
def test_plain_form_is_the_paper(bits: int):
    net, spikes, labels = small_net()
    net.layers[0].weight.data[0, :4] = torch.tensor(
        [1.0, -1.0, 0.5 / 2 ** (bits - 1), -0.5 / 2 ** (bits - 1)]
    )
    net.layers[0].bias.data[0] = 1.0
    network, report = quantize(net, spikes, labels, bits=bits, scale="plain")
    one = 1 << (bits - 1)
    assert network.edges[0].weights[0, :4].tolist() == [one - 1, -one, 1, -1]
    assert network.population("hidden1").bias[0, 0] == one - 1
    for edge, weight in zip(
        network.edges,
        (net.layers[0].weight, net.layers[0].recurrent, net.layers[1].weight),
        strict=True,
    ):
        want = [
            [min(max(half_away(Fraction(float(w)) * one), -one), one - 1) for w in row]
            for row in weight.detach().numpy()
        ]
        assert edge.weights.tolist() == want
    for population, layer in zip(network.populations, net.layers, strict=True):
        assert (population.v_th == one).all() and population.weight_bits == bits
        for i, tau in enumerate(layer.tau.tolist()):
            leak = shift_leak(tau)
            got = [
                (int(s), int(m))
                for s, m in zip(
                    population.leak_sign[0, :, i], population.leak_shift[0, :, i], strict=True
                )
                if s
            ]
            assert (bool(population.k0[0, i]), tuple(got)) == (leak.k0, leak.terms)
    first = report["layers"][0]
    assert first["weights"] == 30 * 20 + 20 * 20 and first["clipped"] >= 2  # weight +1 and bias +1


@pytest.mark.parametrize("taus", [(0.0, 1.0), (1.0, 0.0)])
def test_convolutions_keep_every_spike_where_numbers_are_whole(taus: tuple[float, float]):
    """Weights and biases of 8 bits, leaks none or all: a convolutional, recurrent net spikes
    exactly as the float net."""
    torch.manual_seed(1)
    net = BpsrNet(structure("3c3/2-2c2-r6-fc4", (2, 9, 8)))
    with torch.no_grad():
        for i, layer in enumerate(net.layers):
            for weight in layer.weights:
                weight.copy_((weight * 128).round().clamp(-128, 127) / 128)
            layer.bias.copy_(torch.linspace(-40, 60, len(layer.bias)).round() / 128)
            layer.tau.fill_(taus[i % 2]) if layer.conv else layer.tau.copy_(
                (torch.arange(len(layer.tau)) % 2).float()
            )
    spikes = (np.random.default_rng(1).random((30, 7, 144)) < 0.3).astype(np.uint8)
    wanted = float_spikes(net, spikes)
    network, report = quantize(net, spikes, np.zeros(30, np.int64), scale="plain")
    assert [(e.source, e.target, e.delay) for e in network.edges] == [
        ("input", "hidden1", 0),
        ("hidden1", "hidden2", 0),
        ("hidden2", "hidden3", 0),
        ("hidden3", "hidden3", 1),
        ("hidden3", "output", 0),
    ]
    trace = run(network, {"input": spikes})
    for i, name in enumerate(net.names):
        assert 0.02 < wanted[i].mean() < 0.98
        np.testing.assert_array_equal(trace.spikes[name], wanted[i], name)
        assert (
            report["layers"][i]["neurons"] == net.sizes[i + 1] and not report["layers"][i]["zeroed"]
        )
    again, _ = quantize(
        net, spikes, np.zeros(30, np.int64), scale="layer", bits=4
    )  # rates of patches choose the scale
    assert all(np.abs(e.weights).max() in (7, 8) for e in again.edges if e.delay == 0)


def test_rates_of_a_convolution_are_those_of_its_patches():
    conv = Conv.make((2, 5, 6), 3, (2, 3), stride=(2, 1))
    spikes = (np.random.default_rng(0).random((40, 3, 60)) < np.linspace(0, 1, 60)).astype(np.uint8)
    maps = spikes.mean((0, 1)).reshape(2, 5, 6)
    want = [
        np.mean([maps[c, 2 * y + i, x + j] for y in range(2) for x in range(4)])
        for c in range(2)
        for i in range(2)
        for j in range(3)
    ]
    np.testing.assert_allclose(line_rates(spikes, conv), want)


def test_network_has_the_graph_and_the_metadata(tmp_path):
    net, spikes, labels = small_net()
    network, report = quantize(net, spikes, labels, bits=8)
    graph = [(e.source, e.target, e.delay) for e in network.edges]
    assert graph == [("input", "hidden1", 0), ("hidden1", "hidden1", 1), ("hidden1", "output", 0)]
    assert [p.start for p in network.populations] == [0, 1]
    assert (network.steps, network.output, network.membrane_bits) == (9, "output", 24)
    assert (
        network.metadata["encoder"] == {"name": "rate", "steps": 9}
        and network.metadata["accuracy_float"] == 1.0
    )
    assert network.metadata["bits"] == 8 and set(network.metadata["scales"]) == {
        "hidden1",
        "output",
    }
    assert network.metadata["accuracy_integer"] == report["accuracy"]["integer"]
    assert json.loads(json.dumps(report)) == report
    again = Network.load(network.save(tmp_path / "n.safetensors"))
    assert (
        again.to_bytes()
        == network.to_bytes()
        == quantize(net, spikes, labels, bits=8)[0].to_bytes()
    )


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("leak_terms", [None, 3])
def test_a_net_of_binary_fractions_loses_nothing(recurrent: bool, leak_terms: int | None):
    """Multiples of 1/256 without shifts (tau 0 or 1) are the same net in 12 bits."""
    net, spikes, _ = small_net(recurrent=recurrent)
    with torch.no_grad():
        for layer in net.layers:
            for parameter in layer.parameters():
                parameter.copy_(((parameter * 256).round() / 256).clamp(max=255 / 256))
            layer.tau.copy_(torch.arange(len(layer.tau)) % 2)
    want = float_spikes(net, spikes)
    labels = want[-1].sum(1, dtype=int).argmax(1)
    network, report = quantize(net, spikes, labels, bits=12, scale="plain", leak_terms=leak_terms)
    got = run(network, {"input": spikes})
    for name, layer in zip(net.names, want, strict=True):
        assert 0 < layer.mean() < 1 and np.array_equal(got.spikes[name], layer)
    assert report["accuracy"] == {"float": 1.0, "integer": 1.0}
    for layer in report["layers"]:
        assert (
            layer["drift"],
            layer["count_error"],
            layer["clipped"],
            layer["zeroed"],
            layer["accuracy_alone"],
        ) == (0, 0, 0, 0, 1)


def test_report_counts_what_happened():
    net, spikes, labels = small_net(recurrent=False)
    with torch.no_grad():
        net.layers[0].weight[:, 0], net.layers[0].bias[0] = (
            0.01,
            0.0,
        )  # zeroed by 4 plain bits, and so silenced
        net.layers[0].weight[:, 1], net.layers[0].bias[1] = 0.0, 1.0  # clipped to 7/8
        net.layers[0].weight[:, 2], net.layers[0].bias[2], net.layers[0].tau[2] = 0.2, 0.8, 0.0
        net.layers[0].weight[:, 3], net.layers[0].bias[3] = 0.9, 0.8
    spikes[:, :, :10] = 1
    network, report = quantize(net, spikes, labels, bits=4, scale="plain")
    trace = run(network, {"input": spikes})
    hidden = report["layers"][0]
    weights = net.layers[0].weight.detach().numpy()
    integers = network.edges[0].weights
    assert hidden["zeroed"] == ((integers == 0) & (weights != 0)).sum() >= 30
    biases = net.layers[0].bias.detach().numpy()
    assert hidden["clipped"] == (weights >= 15 / 16).sum() + (biases >= 15 / 16).sum() >= 1
    got = trace.spikes["hidden1"]
    assert (
        hidden["silent"] == (got.sum((0, 1)) == 0).sum() >= 1
        and hidden["always"] == (got.mean((0, 1)) == 1).sum() >= 1
    )
    float_hidden = float_spikes(net, spikes)[0]
    assert hidden["spikes"] == got.sum() / 60 and hidden["spikes_float"] == float_hidden.sum() / 60
    assert hidden["drift"] == pytest.approx(got.sum() / float_hidden.sum() - 1)
    assert hidden["count_error"] == pytest.approx(
        np.abs(got.sum(1, dtype=int) - float_hidden.sum(1, dtype=int)).mean()
    )
    assert 0 <= hidden["accuracy_alone"] <= 1 and hidden["saturations"] == 0


def test_scale_uses_the_bits_that_small_weights_leave_idle():
    net, spikes, labels = small_net(recurrent=False)
    with torch.no_grad():
        for layer in net.layers:
            layer.weight.mul_(0.1)
            layer.bias.mul_(0.1)
        net.layers[0].bias.add_(0.45)
        net.layers[1].bias.add_(0.4)
    plain, layer = (
        quantize(net, spikes, labels, bits=4, scale=scale)[1]["layers"][0]
        for scale in ("plain", "layer")
    )
    assert layer["scale"] > 2 * plain["scale"] == 16 and layer["zeroed"] < plain["zeroed"] / 2
    assert layer["v_th"] == math.ceil(layer["scale"])


def test_silenced_nets_are_refused():
    net, spikes, labels = small_net(recurrent=False)
    with torch.no_grad():
        net.layers[1].weight.fill_(0.04)
        net.layers[1].bias.fill_(0.04)
        net.layers[1].tau.fill_(1.0)
    assert float_spikes(net, spikes)[1].any()
    with pytest.raises(
        InputError,
        match="population 'output' must spike after quantisation to 4 bits, "
        "not be silent on all 60 samples",
    ):
        quantize(net, spikes, labels, bits=4, scale="plain")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"bits": 1}, r"weight bits must be in 2\.\.16, not 1"),
        ({"bits": 17}, r"weight bits must be in 2\.\.16, not 17"),
        ({"bits": 8.0}, r"weight bits must be in 2\.\.16, not 8\.0"),
        ({"scale": "neuron"}, "scale must be one of plain, layer, not 'neuron'"),
        (
            {"membrane_bits": 8, "bits": 9, "scale": "plain"},
            r"threshold must be in -128\.\.127 \(8 bits\), not 256",
        ),
        ({"leak_terms": 4}, r"terms of a leak must be in 0\.\.3, not 4"),
    ],
)
def test_bad_choices_are_refused(change: dict, message: str):
    net, spikes, labels = small_net()
    with pytest.raises(InputError, match=message):
        quantize(net, spikes, labels, **change)


def test_bad_samples_and_nets_are_refused():
    net, spikes, labels = small_net()
    for bad, marks in (
        (spikes[:, :, :7], labels),
        (spikes, labels[1:]),
        (spikes[:0], labels[:0]),
        (spikes[0], labels[:9]),
    ):
        with pytest.raises(InputError, match="samples to quantise with must be spikes"):
            quantize(net, bad, marks)
    net.layers[0].weight.data[3, 3] = math.nan
    with pytest.raises(
        InputError, match=r"layers\.0\.weight of the float net must be finite, not nan"
    ):
        quantize(net, spikes, labels)
