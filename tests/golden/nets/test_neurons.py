"""The float neuron and layer against the equations of BPSR, written out as scalar loops."""

import math

import numpy as np
import pytest
import torch

from spikeloop.golden.nets.layers import FloatNet, SpikingLayer
from spikeloop.golden.nets.neurons import ALPHA, U_TH, fire, lif_step, surrogate
from spikeloop.pysim.common.errors import InputError


def bump(x: float) -> float:
    return 0.7 / math.sqrt(math.pi) * math.exp(-(0.7**2) * x * x)


def random_layer(rng: np.random.Generator, inputs: int, size: int, recurrent: bool) -> SpikingLayer:
    layer = SpikingLayer(inputs, size, recurrent=recurrent).double()
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            low, high = (0.0, 1.0) if name == "tau" else (-0.3, 0.9)
            parameter.copy_(torch.from_numpy(rng.uniform(low, high, parameter.shape)))
    return layer


def by_hand(
    layer: SpikingLayer, x: np.ndarray, grad: np.ndarray
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Spikes, membranes and gradients of one sample by Eqs 1-2 forwards and Eqs 8-13 backwards.

    x is ``[T, m]``, grad dL/ds is ``[T, n]``.
    """
    p = {name: value.detach().numpy() for name, value in layer.named_parameters()}
    steps, (inputs, size) = len(x), p["weight"].shape
    u, s = (
        np.zeros((steps + 1, size)),
        np.zeros((steps + 1, size)),
    )  # index t + 1; [0] is the state before the first step
    for t in range(steps):
        for i in range(size):
            u[t + 1, i] = (
                u[t, i] * p["tau"][i] * (1 - s[t, i])
                + sum(p["weight"][j, i] * x[t, j] for j in range(inputs))
                + p["bias"][i]
            )
            if "recurrent" in p:
                u[t + 1, i] += sum(p["recurrent"][k, i] * s[t, k] for k in range(size))
            s[t + 1, i] = 1.0 if u[t + 1, i] - 1.0 >= 0 else 0.0
    grads = {name: np.zeros_like(value) for name, value in p.items()}
    later = np.zeros(size)  # dL/du of the step after
    for t in reversed(range(steps)):
        now = np.zeros(size)
        for i in range(size):
            toward = grad[t, i]
            if "recurrent" in p and t + 1 < steps:
                toward += sum(later[k] * p["recurrent"][i, k] for k in range(size))
            now[i] = toward * bump(u[t + 1, i] - 1.0) + later[i] * p["tau"][i] * (1 - s[t + 1, i])
            grads["bias"][i] += now[i]
            grads["tau"][i] += now[i] * u[t, i] * (1 - s[t, i])
            for j in range(inputs):
                grads["weight"][j, i] += now[i] * x[t, j]
            if "recurrent" in p:
                for k in range(size):
                    grads["recurrent"][k, i] += now[i] * s[t, k]
        later = now
    return s[1:], u[1:], grads


@pytest.mark.parametrize("recurrent", [False, True])
def test_layer_equals_the_equations_forwards_and_backwards(
    rng: np.random.Generator, recurrent: bool
):
    layer = random_layer(rng, 5, 4, recurrent)
    x, grad = (rng.random((9, 5)) < 0.4).astype(float), rng.normal(size=(9, 4))
    spikes, membranes = layer(torch.from_numpy(x)[:, None])
    (spikes[:, 0] * torch.from_numpy(grad)).sum().backward()
    want_spikes, want_membranes, want_grads = by_hand(layer, x, grad)
    assert 0 < want_spikes.mean() < 1
    np.testing.assert_array_equal(spikes[:, 0].detach().numpy(), want_spikes)
    np.testing.assert_allclose(membranes[:, 0].detach().numpy(), want_membranes, atol=1e-12)
    for name, parameter in layer.named_parameters():
        np.testing.assert_allclose(
            parameter.grad.numpy(), want_grads[name], atol=1e-12, err_msg=name
        )


def test_batch_runs_samples_apart(rng: np.random.Generator):
    layer = random_layer(rng, 5, 4, True)
    x = torch.from_numpy((rng.random((6, 3, 5)) < 0.5).astype(float))
    whole, _ = layer(x)
    for i in range(3):
        assert torch.equal(whole[:, i : i + 1], layer(x[:, i : i + 1])[0])


def test_threshold_is_reached_from_exactly_below_and_resets_hard():
    tau, zero = torch.tensor([0.5, 0.5]), torch.zeros(2)
    u, s = lif_step(zero, zero, torch.tensor([U_TH, U_TH - 2**-20]), tau)
    assert s.tolist() == [1, 0]
    u, s = lif_step(u, s, torch.tensor([0.25, 0.25]), tau)
    assert u.tolist() == [
        0.25,
        0.5 * (1 - 2**-20) + 0.25,
    ]  # the neuron that spiked has forgotten its membrane


def test_surrogate_is_the_gaussian_bump():
    assert ALPHA == 0.7
    x = torch.tensor([-2.0, -0.5, 0.0, 1.0], dtype=torch.float64, requires_grad=True)
    want = [bump(v) for v in x.tolist()]
    np.testing.assert_allclose(surrogate(x).detach().numpy(), want, rtol=1e-12)
    fire(x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), want, rtol=1e-12)
    wide = torch.linspace(-20, 20, 40001, dtype=torch.float64)
    assert (
        abs(torch.trapezoid(surrogate(wide), wide).item() - 1) < 1e-9
    )  # the bump's area is the height of the step


def test_net_file_round_trip_and_clamp(tmp_path):
    net = FloatNet((6, 5, 4, 3), recurrent=True, metadata={"encoder": {"steps": 4}})
    assert net.names == ["hidden1", "hidden2", "output"]
    assert [layer.recurrent is not None for layer in net.layers] == [True, True, False]
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn_like(parameter) * 3)
    for layer in net.layers:
        layer.clamp_()
        assert (
            layer.weight.abs().max() <= 1
            and layer.bias.abs().max() <= 1
            and 0 <= layer.tau.min() <= layer.tau.max() <= 1
        )
    path = net.save(tmp_path / "net.safetensors")
    again = FloatNet.load(path)
    assert (again.sizes, again.recurrent, again.metadata) == (
        net.sizes,
        net.recurrent,
        net.metadata,
    )
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), again.parameters(), strict=True))
    assert path.read_bytes() == again.save(tmp_path / "again.safetensors").read_bytes()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_net_that_is_not_finite_is_refused_both_ways(tmp_path, value: float):
    net = FloatNet((3, 2))
    with torch.no_grad():
        net.layers[0].bias[1] = value
    with pytest.raises(
        InputError, match=rf"layers.0.bias of the float net must be finite, not {value}"
    ):
        net.save(tmp_path / "net.safetensors")
    assert not list(tmp_path.iterdir())
    net.check_finite = lambda: None  # type: ignore[method-assign]
    net.save(tmp_path / "net.safetensors")
    with pytest.raises(
        InputError, match=rf"layers.0.bias of the float net must be finite, not {value}"
    ):
        FloatNet.load(tmp_path / "net.safetensors")


@pytest.mark.parametrize("content", [b"", b"\x80\x04K\x01.", b"not a net", b"\xff" * 64])
def test_files_of_another_kind_are_refused(tmp_path, content: bytes):
    path = tmp_path / "net.safetensors"
    path.write_bytes(content)
    with pytest.raises(
        InputError, match="must be a safetensors file written by spikeloop train, not this one"
    ):
        FloatNet.load(path)


def test_truncated_renamed_and_missing_files_are_refused(tmp_path):
    path = FloatNet((3, 2)).save(tmp_path / "net.safetensors")
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    with pytest.raises(InputError, match="must be a safetensors file written by spikeloop train"):
        FloatNet.load(path)
    path.write_bytes(whole.replace(b'\\"version\\": 1', b'\\"version\\": 7'))
    with pytest.raises(InputError, match="must be of version 1, not 7"):
        FloatNet.load(path)
    path.write_bytes(whole.replace(b'\\"sizes\\": [3, 2]', b'\\"sizes\\": [2, 2]'))
    with pytest.raises(InputError, match="must match its header"):
        FloatNet.load(path)
    with pytest.raises(InputError, match="is missing: "):
        FloatNet.load(tmp_path / "none.safetensors")
    with pytest.raises(InputError, match=r"must be readable, not .*Is a directory"):
        FloatNet.load(tmp_path)


@pytest.mark.parametrize("sizes", [(5,), (5, 0), (5, 2.0), ()])
def test_bad_sizes_are_refused(sizes):
    with pytest.raises(InputError, match="layers must be two or more sizes"):
        FloatNet(sizes)
