"""Q-STDB: forms of weights, neuron and gradients against plain writings of the equations;
conversion; the integers; the kept nets."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from spikeloop.golden.data.datasets import Dataset, load_mnist
from spikeloop.golden.nets.files import CHECKPOINTS
from spikeloop.golden.nets.pim_layers import scale
from spikeloop.golden.reference import integer
from spikeloop.golden.rules.qstdb import net as qstdb
from spikeloop.golden.rules.qstdb import train as qstdb_train
from spikeloop.golden.rules.qstdb.integer import integers, run_integers
from spikeloop.golden.rules.qstdb.net import GAMMA, Layer, QstdbNet, affine, checkpoint, fire
from spikeloop.golden.rules.qstdb.network import to_network
from spikeloop.golden.rules.qstdb.train import QstdbConfig, convert, mnist_layers, stages, train
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.pim.window import PimWindow
from tests.make.qstdb_nets import MACRO, images, small


def pixels(count: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(images(count, seed).astype(np.float32))


# -- weights ---------------------------------------------------------------------------------------


@given(st.integers(2, 8), st.integers(0, 1 << 32), st.floats(-2, 2))
def test_affine(bits: int, seed: int, shift: float) -> None:
    torch.manual_seed(seed)
    w = (torch.randn(50, dtype=torch.float64) + shift).requires_grad_()
    form = affine(w, bits)
    low, high = float(w.detach().min()), float(w.detach().max())
    s = ((1 << bits) - 1) / (high - low)
    z = -(1 << bits - 1) - round(s * low)
    want = ((w.detach() * s).round() + z).clamp(-(1 << bits - 1), (1 << bits - 1) - 1)
    assert torch.allclose(form.detach(), (want - z) / s, rtol=0, atol=1e-12)
    assert len(form.detach().unique()) <= 1 << bits
    # the rounded zero point may move one end of the range by half a step more
    assert float((form - w).detach().abs().max()) <= 1 / s + 1e-12
    form.sum().backward()
    assert torch.equal(w.grad, torch.ones(50, dtype=torch.float64))


@pytest.mark.parametrize("bits", [4, 5, 6])
def test_affine_as_torch_does(bits: int) -> None:
    torch.manual_seed(bits)
    w = torch.randn(400) + 0.3
    s = ((1 << bits) - 1) / float(w.max() - w.min())
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1
    want = torch.fake_quantize_per_tensor_affine(
        w, 1 / s, low - round(s * float(w.min())), low, high
    )
    assert torch.allclose(affine(w, bits), want, atol=1e-6)


# -- the neuron ------------------------------------------------------------------------------------


def _plain(net: QstdbNet, x: np.ndarray) -> tuple[np.ndarray, list[list[np.ndarray]]]:
    """Eqs 2, 3, 15 step by step in float64 with torch.nn modules; full-precision weights."""
    modules = [
        nn.Conv2d(1, 3, 3, 2, bias=False),
        nn.Conv2d(3, 5, 2, bias=False),
        nn.Linear(20, 4, bias=False),
    ]
    for module, weight in zip(modules, net.weights, strict=True):
        module.weight = nn.Parameter(weight.detach().double())
        module.double()
    u: list[torch.Tensor] = [torch.zeros(()), torch.zeros(())]
    total, fired = (
        torch.zeros(len(x), 4, dtype=torch.float64),
        [list[np.ndarray](), list[np.ndarray]()],
    )
    with torch.no_grad():
        for _ in range(net.steps):
            o = torch.from_numpy(x.astype(np.float64) / net.unit).view(-1, 1, 8, 8)
            for i in range(2):
                v = float(net.threshold[i])
                u[i] = float(net.leak[i]) * u[i] + modules[i](o)
                o = (u[i] / v - 1 > 0).double()
                u[i] = u[i] - v * o
                fired[i].append(o.numpy().astype(np.uint8))
            total += modules[2](o.flatten(1))
    return total.numpy(), fired


def test_forward() -> None:
    net = small()
    out, spikes = net.double().run(pixels(30).double(), "float")
    want, fired = _plain(net, images(30))
    assert np.allclose(out.detach().numpy(), want)
    for got, plain in zip(spikes, fired, strict=True):
        assert got.any() and not got.all()
        assert np.array_equal(got.detach().numpy().astype(np.uint8), np.stack(plain))


def test_gradients() -> None:
    """Two steps of one neuron, derived by hand."""
    net = QstdbNet(
        (
            Layer(name="a", window=PimWindow.make((1,)), channels=1),
            Layer(name="b", window=PimWindow.make((1,)), channels=1),
        ),
        steps=2,
        unit=1.0,
    ).double()
    w, q, leak, v, x = 0.7, 1.3, 0.9, 0.6, 1.0
    with torch.no_grad():
        for parameter, value in (
            (net.weights[0], w),
            (net.weights[1], q),
            (net.leak, leak),
            (net.threshold, v),
        ):
            parameter.fill_(value)
    net(torch.full((1, 1), x, dtype=torch.float64), "float").sum().backward()
    u1 = w * x
    assert u1 > v
    u2 = leak * (u1 - v) + w * x
    g1, g2 = (GAMMA * max(0, 1 - abs(u / v - 1)) for u in (u1, u2))
    want = {
        "w": q * (g1 * x / v + g2 * (leak * x + x) / v),
        "q": 2.0,
        "leak": q * g2 * (u1 - v) / v,
        "v": q * (g1 * -u1 / v**2 + g2 * (-u2 / v**2 - leak / v)),
    }  # the reset takes v away: du2/dv = -leak
    got = {
        "w": net.weights[0].grad,
        "q": net.weights[1].grad,
        "leak": net.leak.grad,
        "v": net.threshold.grad,
    }
    for key, value in want.items():
        assert math.isclose(float(got[key]), value, rel_tol=1e-12), key


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(z)
        return (z > 0).double()

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        return grad * GAMMA * torch.relu(1 - ctx.saved_tensors[0].abs())


@pytest.mark.parametrize("held", [False, True])
def test_gradients_as_the_tape_has_them(held: bool) -> None:
    """Five steps of twenty neurons, against autograd of the single operations."""
    torch.manual_seed(held)
    given = [
        (0.4 * torch.randn(3 if held else 15, 20, dtype=torch.float64) + 0.3).requires_grad_(),
        torch.tensor(0.9, dtype=torch.float64, requires_grad=True),
        torch.tensor(0.6, dtype=torch.float64, requires_grad=True),
    ]
    currents, leak, v = given
    weigh = torch.randn(15, 20, dtype=torch.float64)
    spikes = fire(currents, leak, v, 5, held=held)
    got = torch.autograd.grad((spikes * weigh).sum(), given)
    u, tape = torch.zeros(3, 20, dtype=torch.float64), []
    for t in range(5):
        u = leak * u + (currents if held else currents[3 * t : 3 * t + 3])
        tape.append(_Spike.apply(u / v - 1))
        u = u - v * tape[-1].detach()
    want = torch.autograd.grad((torch.cat(tape) * weigh).sum(), given)
    assert torch.equal(spikes, torch.cat(tape)) and 0.1 < spikes.mean() < 0.9
    for a, b in zip(got, want, strict=True):
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-12)


# -- conversion ------------------------------------------------------------------------------------


def test_conversion() -> None:
    net, x = small(), images(50)
    convert(net, x)
    assert torch.equal(net.leak, torch.ones(2))
    current = torch.nn.functional.conv2d(
        torch.from_numpy(x / 255.0).view(-1, 1, 8, 8), net.weights[0].detach().double(), stride=2
    )
    v = np.quantile(current.numpy(), 0.997)
    assert math.isclose(float(net.threshold[0].detach()), 0.8 * v, rel_tol=1e-5)
    u, sums = torch.zeros(()), []
    for _ in range(100):
        u = u + current
        o = (u > v).double()
        u = u - v * o
        sums.append(torch.nn.functional.conv2d(o, net.weights[1].detach().double()).numpy())
    assert math.isclose(
        float(net.threshold[1].detach()), 0.8 * np.quantile(np.stack(sums), 0.997), rel_tol=1e-4
    )


# -- integers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [4, 6])
@pytest.mark.parametrize("seed", range(3))
def test_integers_are_the_network(bits: int, seed: int) -> None:
    net = small(seed, bits=bits, pim=replace(MACRO, weight_bits=bits, columns=4 * bits))
    network, x = to_network(net), images(40, seed)
    trace = integer.run(network, {"pixels": x})
    out, spikes = run_integers(net, x)
    assert np.array_equal(trace.membranes["c"][:, -1], out)
    for name, got in zip("ab", spikes, strict=True):
        assert got.any()
        assert np.array_equal(trace.spikes[name], got)
    assert not any(clips.any() for clips in trace.saturations.values())


def test_integers_follow_the_scale_form() -> None:
    """Without leak and with thresholds on integers nothing is left to round."""
    net, x = small().double(), images(40)
    with torch.no_grad():
        net.leak.fill_(1)
        for i in range(2):
            s = scale(net.weights[i], net.bits) * (net.unit if i == 0 else 1)
            net.threshold[i] = (
                round(float(net.threshold[i]) * s) + 1e-9
            ) / s  # just above: sums of equal size do not fire
    _, want = net.run(torch.from_numpy(x.astype(np.float64)), "scale")
    _, got = run_integers(net, x)
    for spikes, reference in zip(got, want, strict=True):
        assert np.array_equal(
            spikes, reference.detach().transpose(0, 1).flatten(2).numpy().astype(np.uint8)
        )


def test_the_chip_s_leak_is_the_shift_form_s() -> None:
    net = small()
    made = integers(net)
    for own, leak in zip(made, net.leak, strict=False):
        assert own.leak.error < 2e-3
        assert math.isclose(own.leak.value, float(leak.detach()), abs_tol=own.leak.error + 1e-9)
    assert [
        own.weights.max() <= 31 and own.weights.min() >= -31 and abs(own.weights).max() == 31
        for own in made
    ] == [True] * 3


# -- file and errors -------------------------------------------------------------------------------


def test_file(tmp_path) -> None:  # type: ignore[no-untyped-def]
    net = small(pim=MACRO)
    net.metadata = {"made": "here"}
    net.save(tmp_path / "net.safetensors")
    again = QstdbNet.load(tmp_path / "net.safetensors")
    assert (
        again.metadata == net.metadata
        and again.layers == net.layers
        and again.pim.tables == net.pim.tables
    )
    assert np.array_equal(run_integers(net, images(9))[0], run_integers(again, images(9))[0])
    (tmp_path / "bad.safetensors").write_bytes((tmp_path / "net.safetensors").read_bytes()[:-9])
    with pytest.raises(InputError, match="truncated"):
        QstdbNet.load(tmp_path / "bad.safetensors")


def wide(channels: int, padding: int = 0) -> QstdbNet:
    window = PimWindow.make((1, 8, 8), (8, 8), padding=padding)
    first = Layer(name="w", window=window, channels=channels)
    return QstdbNet((first, Layer(name="c", window=PimWindow.make((1,)), channels=2)))


def test_weights_of_another_shape_are_refused_before_a_net_is_made(tmp_path: Path) -> None:
    file = small().save(tmp_path / "net.safetensors")
    data = file.read_bytes()
    assert data.count(b'channels\\": 5') == 1
    file.write_bytes(data.replace(b'channels\\": 5', b'channels\\": 6'))
    with pytest.raises(
        InputError, match=r"weights of layer 'b' .* must be of shape \(6, 3, 2, 2\)"
    ):
        QstdbNet.load(file)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: small(bits=9), "2..8 weight bits"),
        (lambda: small(steps=0), "steps of a Q-STDB net must be in 1..65535, not 0"),
        (lambda: small(steps=10**30), "steps of a Q-STDB net must be in 1..65535"),
        (lambda: small(unit=float("nan")), "unit of a Q-STDB net must be a number above 0"),
        (lambda: small(unit="1"), "unit of a Q-STDB net must be a number above 0"),
        (lambda: PimWindow.make((1, 8, 8), (3, 3), padding=(1.0, 1.0)), "2 whole numbers"),  # type: ignore[arg-type]
        (lambda: wide(1 << 40), "channels of layer 'w' must be in 1..16777216"),
        (lambda: wide(1, 1 << 40), "neurons of layer 'w' must be in 1..16777216"),
        (lambda: small(bits=5, pim=MACRO), "weight_bits of the PIM macro must be the net's 5"),
        (lambda: QstdbNet(mnist_layers()[:1] * 2), "source of layer"),
        (lambda: QstdbNet(mnist_layers()[:2]), "one output per class"),
        (lambda: small()(pixels(1), "ternary"), "form"),
        (lambda: QstdbConfig(epochs=-1), "epochs"),
        (lambda: QstdbConfig(lr=float("nan")), "lr"),
        (lambda: checkpoint("none"), "checkpoint must be one of pim-mnist"),
    ],
)
def test_refused(make, words) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=words):
        make()


# -- training --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def few() -> Dataset:
    data = load_mnist()
    return Dataset(
        source="mnist-few",
        train_images=data.train_images[:600],
        train_labels=data.train_labels[:600],
        test_images=data.test_images[:300],
        test_labels=data.test_labels[:300],
    )


def test_training(few: Dataset) -> None:
    """Learns, trains leaks and thresholds, and gives the same bits again."""
    config = QstdbConfig(ann_epochs=6, epochs=3, batch=32)
    nets = [
        train(config, few, mnist_layers(), pim=qstdb_train.MACRO, progress=False) for _ in range(2)
    ]
    scores = nets[0].metadata["accuracy"]
    assert scores["ann"] > 0.8 and scores["integer"] > 0.8, scores
    assert (nets[0].leak < 1).any() and scores == nets[1].metadata["accuracy"]
    assert all(
        torch.equal(a, b) for a, b in zip(nets[0].parameters(), nets[1].parameters(), strict=True)
    )


def test_kept_net() -> None:
    net, x = checkpoint(), load_mnist().test_images[:40]
    out, spikes = run_integers(net, x)
    trace = integer.run(to_network(net), {"pixels": x})
    assert np.array_equal(trace.membranes["fc"][:, -1], out)
    assert all(
        np.array_equal(trace.spikes[name], own)
        for name, own in zip(("conv1", "conv2"), spikes, strict=True)
    )
    assert net.metadata["dataset"]["test"] == 10_000
    assert all(path.stat().st_size < 1 << 20 for path in CHECKPOINTS.glob("*.safetensors"))


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize("name", qstdb.NAMES)
def test_kept_scores(shared_data, name: str) -> None:  # type: ignore[no-untyped-def]
    """On the 10,000 test images: integers exactly, floats within ten images.

    A float sum at its threshold falls to one side or the other, CPU by CPU.
    """
    data, net = load_mnist(shared_data / "mnist"), checkpoint(name)
    scores = stages(net, data.test_images, data.test_labels)
    kept = net.metadata["accuracy"]
    assert scores["integer"] == kept["integer"]
    for key, score in scores.items():
        assert abs(score - kept[key]) <= 0.001, key


def test_adc_costs_half_a_point_at_most() -> None:
    """After training with it in the loop; that these are the scores, the slow test above shows."""
    pim, digital = (checkpoint(name).metadata["accuracy"] for name in qstdb.NAMES)
    assert pim["ann"] == digital["ann"]  # the same training up to there
    assert all(
        digital[form] - pim[form] <= 0.005 for form in ("affine", "scale", "shift", "integer")
    )
