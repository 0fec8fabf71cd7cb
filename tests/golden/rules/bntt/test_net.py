"""Batch normalisation through time: the equations against other writings of them, the folding
against the net that is not folded.

About 10 CPU-seconds.
"""

from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from spikeloop.golden.reference.integer import run
from spikeloop.golden.rules.bntt.net import (
    SURROGATE,
    BnttLayer,
    BnttNet,
    Folded,
    _factors,
    exit_step,
    fold,
    spike,
    to_network,
)
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.elements import LeakRounding, Population

LEAK, THETA = 0.95, 1.0


def unfolded(
    x: np.ndarray, gains: np.ndarray, mu: np.ndarray, leak: float
) -> tuple[np.ndarray, np.ndarray]:
    """Eq 9 as it stands: spikes and membranes u (after the reset) ``[T, n]`` of currents ``x``."""
    u, spikes, membranes = np.zeros(x.shape[1]), [], []
    for t in range(len(x)):
        u = leak * u + gains[t] * (x[t] - mu[t])
        o = u >= THETA
        u = u - THETA * o
        spikes.append(o)
        membranes.append(u)
    return np.array(spikes), np.array(membranes)


def rescaled(
    x: np.ndarray, factor: np.ndarray, gains: np.ndarray, mu: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The same in units of v: leak factor, threshold and bias of each step, no gain."""
    v, spikes, membranes = np.zeros(x.shape[1]), [], []
    for t in range(len(x)):
        v = factor[t] * v + x[t] - mu[t]
        o = v >= THETA / gains[t]
        v = v - THETA / gains[t] * o
        spikes.append(o)
        membranes.append(v)
    return np.array(spikes), np.array(membranes)


def case(
    rng: np.random.Generator, steps: int = 30, size: int = 400
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Currents, gains that swing by up to four from step to step, means."""
    gains = np.exp(rng.uniform(-1, 1, (steps, size)).cumsum(0) * 0.7)
    mu = rng.normal(0, 0.5, (steps, size))
    return rng.normal(0, 1 / gains) + mu, gains, mu


def shifted_factor(folded: Folded) -> np.ndarray:
    return folded.k0 + (folded.sign * 0.5 ** folded.shift.astype(float)).sum(1)


def test_rescaled_membrane_is_the_same_net(rng: np.random.Generator):
    """f = lambda a[t-1] / a[t], threshold theta / a[t]: every spike, and v a = u."""
    x, gains, mu = case(rng)
    factor = np.concatenate([np.zeros_like(gains[:1]), LEAK * gains[:-1] / gains[1:]])
    wanted, got = unfolded(x, gains, mu, LEAK), rescaled(x, factor, gains, mu)
    assert 0.02 < wanted[0].mean() < 0.5
    assert np.array_equal(got[0], wanted[0])
    np.testing.assert_allclose(got[1] * gains, wanted[1], atol=1e-9)


def test_folding_is_the_net_of_gains_that_are_close_to_the_wanted_ones(rng: np.random.Generator):
    x, gains, mu = case(rng)
    folded = fold(gains, LEAK)
    assert np.array_equal(
        folded.factor[1:], shifted_factor(folded)[1:]
    )  # what the pages say is what was computed with
    wanted, got = unfolded(x, folded.gains, mu, LEAK), rescaled(x, folded.factor, folded.gains, mu)
    assert np.array_equal(got[0], wanted[0])
    np.testing.assert_allclose(got[1] * folded.gains, wanted[1], atol=1e-9)
    assert np.array_equal(folded.gains[-1], gains[-1])
    within = (LEAK * gains[:-1] / gains[1:]).max(
        0
    ) < 1.8  # neurons whose factors lie where they are dense
    error = np.abs(folded.gains / gains - 1)
    assert within.mean() > 0.2 and error[:, within].max() < 0.02 and error[:, within].mean() < 2e-3


def test_the_papers_equation_15_is_another_net(rng: np.random.Generator):
    """Threshold theta sqrt(var + eps) / gamma on a membrane of leak lambda, gains taken as
    constant: many spikes differ."""
    x, gains, mu = case(rng)
    wanted, got = unfolded(x, gains, mu, LEAK), rescaled(x, np.full_like(gains, LEAK), gains, mu)
    assert (wanted[0] != got[0]).mean() > 0.05


def test_factors_are_all_sums_and_their_shortest():
    values, signs, shifts = _factors()
    assert (np.diff(values) > 0).all() and values[0] == 2.0**-12 and values[-1] == 4
    assert np.array_equal(values, signs[:, 0] + (signs[:, 1:] * 0.5 ** shifts.astype(float)).sum(1))
    some = np.random.default_rng(0).choice(len(values), 40, replace=False)
    short = [k0 + s * 0.5**m for k0, s, m in product((0, 1), (-1, 1), range(13))]
    for i in some:
        assert (np.count_nonzero(signs[i, 1:]) <= 1) == (values[i] in [*short, 1.0])
    for wanted in (
        LEAK,
        0.013,
        1.7,
        3.9,
    ):  # the nearest of all sums of three, by another enumeration
        nearest = min(
            abs(k0 + sum(s * 0.5**m for s, m in three) - wanted)
            for k0 in (0, 1)
            for three in product([(s, m) for s in (-1, 0, 1) for m in range(9)], repeat=3)
        )
        assert np.abs(values - wanted).min() <= nearest


def test_integers_are_the_unfolded_net_where_nothing_is_rounded(rng: np.random.Generator):
    """Gains and leak are powers of two, means and weights whole. The chip's pages and Eq 9 in
    rational numbers agree in every spike and membrane of a hidden layer, and in the last
    membranes."""
    steps, size, unit = 6, 8, 1 << 10  # v stays a multiple of 1: at most ten halvings
    net = BnttNet((12, size, 3), steps, leak=0.5, theta=1.0, eps=0.0).eval()
    a = [0.5 ** rng.integers(0, 3, (steps, n)) for n in (size, 3)]
    a[1][-1] = 1
    with torch.no_grad():
        for layer, gains in zip(net.layers, a, strict=True):
            weight = rng.integers(-3, 4, layer.weight.shape) / 2
            weight[0] = 127 / 16  # of every neuron the largest: scale 16
            layer.weight.copy_(torch.from_numpy(weight))
            layer.var.copy_(torch.from_numpy(gains**-2.0))
            layer.mean.copy_(torch.from_numpy(rng.integers(-4, 5, gains.shape) / 4))
    network = to_network(net)
    assert network.metadata["gain_error"] == {"hidden1": 0.0, "output": 0.0}
    spikes = rng.integers(0, 2, (5, steps, 12), dtype=np.uint8)
    spikes[:, :, 0] = rng.random((5, steps)) < 0.2
    # shr rounds at odd v: scale all integers of the network up, which changes nothing else
    p, q = network.populations
    scaled = replace(
        network,
        edges=tuple(replace(e, weights=e.weights * (unit // 16)) for e in network.edges),
        populations=tuple(
            replace(
                one,
                weight_bits=16,
                **{key: getattr(one, key) * (unit // 16) for key in ("bias", "v_th", "v_sub")},
            )
            for one in (p, q)
        ),
    )
    trace = run(scaled, {"input": spikes})
    seen = 0
    for sample in range(5):
        o = [[int(n) for n in row] for row in spikes[sample]]
        for layer, gains, name in zip(net.layers, a, ("hidden1", "output"), strict=True):
            weight = [[Fraction(float(w)) for w in row] for row in layer.weight.detach()]
            mean = [[Fraction(float(m)) for m in row] for row in layer.mean]
            u, emitted, leak = (
                [Fraction(0)] * len(mean[0]),
                [],
                Fraction(1, 2) if name == "hidden1" else Fraction(1),
            )
            for t in range(steps):
                x = [
                    sum(row[i] * n for row, n in zip(weight, o[t], strict=True))
                    for i in range(len(u))
                ]
                u = [
                    leak * u[i] + Fraction(gains[t, i]) * (x[i] - mean[t][i]) for i in range(len(u))
                ]
                fires = [name == "hidden1" and value >= 1 for value in u]
                u = [value - s for value, s in zip(u, fires, strict=True)]
                emitted.append([int(s) for s in fires])
                v = [value / Fraction(gains[t, i]) * unit for i, value in enumerate(u)]
                assert trace.membranes[name][sample, t].tolist() == v, (sample, name, t)
                assert trace.spikes[name][sample, t].tolist() == emitted[-1]
                seen += sum(fires)
            o = emitted
    assert seen > 50


def test_normalisation_is_algorithm_1_of_each_step_apart(rng: np.random.Generator):
    layer = BnttLayer(5, 3, 4, eps=0.1, momentum=0.25)
    o = torch.from_numpy(rng.integers(0, 2, (20, 4, 5))).float()
    with torch.no_grad():
        layer.gamma.copy_(torch.from_numpy(rng.uniform(0.5, 2, (4, 3))))
    y, x = layer(o).detach().numpy(), (o.numpy() @ layer.weight.detach().numpy())
    for t in range(4):
        mu, var = x[:, t].mean(0), x[:, t].var(0)
        np.testing.assert_allclose(
            y[:, t],
            layer.gamma[t].detach().numpy() * (x[:, t] - mu) / np.sqrt(var + 0.1),
            atol=1e-5,
        )
        np.testing.assert_allclose(layer.mean[t], 0.25 * mu, atol=1e-6)
        np.testing.assert_allclose(layer.var[t], 0.75 + 0.25 * var * 20 / 19, atol=1e-5)
    layer.eval()
    np.testing.assert_allclose(
        layer(o).detach().numpy(), layer.gains() * (x - layer.mean.numpy()), atol=1e-5
    )
    np.testing.assert_allclose(
        layer(o[:, :2]).detach(), layer(o)[:, :2].detach()
    )  # the first steps alone: early exit


def test_spikes_and_their_gradient_are_the_graph_step_by_step(rng: np.random.Generator):
    """The fused function against autograd through Eq 9's loop, the reset detached."""
    y = torch.from_numpy(rng.normal(0, 1, (6, 9, 4))).requires_grad_()
    grad = torch.from_numpy(rng.normal(size=(6, 9, 4)))

    class Step(torch.autograd.Function):
        @staticmethod
        def forward(ctx, u: Tensor) -> Tensor:
            ctx.save_for_backward(u)
            return (u >= THETA).double()

        @staticmethod
        def backward(ctx, g: Tensor) -> Tensor:
            (u,) = ctx.saved_tensors
            return g * SURROGATE * (1 - (u - THETA).abs() / THETA).clamp(min=0)

    u, spikes = torch.zeros(6, 4, dtype=torch.float64), []
    for t in range(9):
        u = LEAK * u + y[:, t]
        s = Step.apply(u)
        u = u - THETA * s.detach()
        spikes.append(s)
    wanted = torch.stack(spikes, 1)
    (wanted_grad,) = torch.autograd.grad(wanted, y, grad)
    got = spike(y, LEAK, THETA)
    (got_grad,) = torch.autograd.grad(got, y, grad)
    assert torch.equal(got, wanted) and wanted.mean() > 0.1
    torch.testing.assert_close(got_grad, wanted_grad)


@pytest.mark.parametrize(
    ("means", "steps"),
    [
        (
            [[0.9, 0.05, 0.2, 0.01, 0.01], [0.5, 0.5, 0.05, 0.02, 0.01]],
            3,
        ),  # after step 2 both are below 0.1
        ([[0.5, 0.5, 0.5], [0.01, 0.01, 0.01]], 3),
        ([[0.01, 0.02], [0.03, 0.04]], 1),
        ([[0.1, 0.09]], 1),
    ],
)
def test_early_exit_is_after_the_last_step_with_a_large_mean_gamma(
    means: list[list[float]], steps: int
):
    spread = np.array([-0.005, 0.005])  # neurons differ; their mean counts
    assert exit_step([np.array(layer)[:, None] + spread for layer in means]) == steps


def test_early_exit_shortens_the_network(rng: np.random.Generator):
    """The first steps are the same with fewer pages; the scale of the last layer is that of its own
    last step."""
    torch.manual_seed(0)
    net = BnttNet((6, 5, 3), 8).eval()
    with torch.no_grad():
        for layer in net.layers:
            layer.gamma.copy_(torch.from_numpy(rng.uniform(0.5, 1.5, layer.gamma.shape)))
    spikes = rng.integers(0, 2, (10, 8, 6), dtype=np.uint8)
    short = to_network(net, steps=5, bits=14)
    assert short.steps == 5 and all(p.pages == 5 for p in short.populations)
    u = net(torch.from_numpy(spikes[:, :5]).float())[:, -1].detach().numpy()
    trace = run(short, {"input": spikes[:, :5]})
    got = trace.membranes["output"][:, -1]
    ratio = (got * u).sum() / (u * u).sum()
    assert np.abs(got / ratio - u).max() < 0.02 * np.abs(u).max()
    assert (
        short.population("hidden1").reset.any()
        and (short.population("hidden1").rounding == LeakRounding.TOWARD_ZERO).all()
    )
    assert trace.spikes["hidden1"].any() and not trace.spikes["output"].any()


def test_a_gain_of_a_step_reaches_its_page_alone(rng: np.random.Generator):
    """Seeded fault: one changed gamma of one step changes that neuron's threshold there and its
    leak there and after, and nothing else."""

    def pages(gamma: float) -> Population:
        net = BnttNet((4, 3, 2), 6, leak=0.5, eps=0.0).eval()
        with torch.no_grad():
            net.layers[0].weight.copy_(torch.ones(4, 3))
            net.layers[0].gamma[2, 1] = gamma
        return to_network(net).population("hidden1")

    one, two = pages(1.0), pages(2.0)
    assert np.argwhere(one.v_th != two.v_th).tolist() == [[2, 1]] and two.v_sub[2, 1] == round(
        one.v_sub[2, 1] / 2
    )
    assert sorted(
        {(t, i) for t, _, i in np.argwhere(one.leak_shift != two.leak_shift).tolist()}
        | {(t, i) for t, i in np.argwhere(one.k0 != two.k0).tolist()}
    ) == [(2, 1), (3, 1)]
    assert np.array_equal(one.bias, two.bias)


def test_bad_nets_are_refused():
    net = BnttNet((4, 3, 2), 6).eval()
    for steps in (0, 7):
        with pytest.raises(
            InputError, match=rf"steps of a net with a page for each must be in 1\.\.6, not {steps}"
        ):
            to_network(net, steps=steps)
    with pytest.raises(InputError, match=r"must be in 1\.\.64, not 70"):
        to_network(BnttNet((4, 3, 2), 70).eval())
    with pytest.raises(InputError, match=r"weight bits must be in 2\.\.16, not 1"):
        to_network(net, bits=1)
    with torch.no_grad():
        net.layers[0].gamma[3, 1] = -0.5
    with pytest.raises(InputError, match=r"gains of a layer to fold must be above 0, not -0\.47"):
        to_network(net)
    net.clamp_()
    assert to_network(net).steps == 6
