"""Dendritic neurons in integers, in torch: the reference for hdl/dendritic and pysim/dendritic.

Written from docs/dendritic.md alone. Everything is int64. No lanes, sweeps or cycles are known.
"""

import numpy as np
import torch
from torch import Tensor

from spikeloop.golden.dendrites.draws import words32, words64
from spikeloop.pysim.dendrites.net import DendriticNet
from spikeloop.pysim.dendrites.settings import PASSING, UNITS, Format
from spikeloop.pysim.dendrites.state import DendriticState
from spikeloop.pysim.dendrites.trace import FIELDS, DendriticTrace

__all__ = ["play", "show"]

CURRENT, PSP, WEIGHT = Format(17, False), Format(20, False), Format(32, True)


@torch.inference_mode()
def show(
    net: DendriticNet,
    stimulus: np.ndarray,
    state: DendriticState,
    steps: int,
    *,
    learn: bool,
    plastic: bool = True,
    record: bool = True,
) -> DendriticTrace:
    """A show: ``steps`` steps with one stimulus.

    stimulus: thresholds, int64 ``[input]``.
    state:    what was before; it stays as it is.
    record:   False keeps the last state only.
    """
    state = state.check(net)
    spikes, rin = arrivals(net, stimulus, state.rin, steps)
    neurons = Neurons(net, state, steps)
    kept = []
    for arrived in spikes:
        neurons.step(arrived, learn, plastic)
        if record:
            kept.append((neurons.units(FIELDS), neurons.inhibition))
    shape = (-1, len(FIELDS), net.neurons)
    units, pairs = (
        (torch.stack(part) for part in zip(*kept, strict=True))
        if kept
        else (torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))
    )
    last = rin[:, -1].numpy().view(np.uint64)
    return DendriticTrace(
        units=units.reshape(shape).numpy(),
        pairs=pairs.reshape(-1, net.neurons, net.neurons).numpy(),
        rin=last if record else last[:0],
        state=neurons.state(int(last[-1])),
        steps=steps,
        inputs=int(spikes.sum()),
        spikes=neurons.spikes,
        clips=neurons.clips,
        saturations=neurons.saturations,
    )


@torch.inference_mode()
def play(
    net: DendriticNet, stimulus: np.ndarray, state: DendriticState, steps: int
) -> tuple[np.ndarray, DendriticState, np.ndarray]:
    """A sample of a net in a network: ``steps`` steps that learn.

    Returns output spikes, uint8 0/1 ``[step, neuron]``, the last state, and what each step counted,
    int64 ``[step, 5]``: steps, inputs, spikes, clips, saturations.
    """
    state = state.check(net)
    arrived, rin = arrivals(net, stimulus, state.rin, steps)
    neurons = Neurons(net, state, steps)
    spikes, counts = [], [[0] * 5]
    for number, inputs in enumerate(arrived, 1):
        neurons.step(inputs, True, True)
        spikes.append(neurons.value["s"].numpy().astype(np.uint8))
        seen = int(inputs.sum()) + counts[-1][1]
        counts.append([number, seen, neurons.spikes, neurons.clips, neurons.saturations])
    last = rin[:, -1].numpy().view(np.uint64)
    return np.array(spikes), neurons.state(int(last[-1])), np.diff(np.array(counts), axis=0)


def arrivals(
    net: DendriticNet, stimulus: np.ndarray, rin: int, steps: int
) -> tuple[Tensor, Tensor]:
    """Input spikes ``[step, input]`` of 0 and 1, and the words of ``rin``, ``[step, word]``."""
    threshold = torch.from_numpy(net.check_stimuli(np.asarray(stimulus)[None])[0])
    each = -(-net.inputs // 4)
    words = words64(rin, steps * each).reshape(steps, each)
    fields = words[:, :, None] >> torch.tensor([0, 16, 32, 48]) & 0xFFFF
    return (fields.reshape(steps, -1)[:, : net.inputs] < threshold).long(), words


def rounded(x: Tensor, n: int) -> Tensor:
    """R(x, n)."""
    return x + (1 << n - 1) >> n


class Neurons:
    """A net under way. ``value``: rows of FIELDS by name, int64 ``[neuron]``."""

    def __init__(self, net: DendriticNet, state: DendriticState, steps: int) -> None:
        self.net, self.s, self.age = net, net.settings, state.age
        self.table = torch.from_numpy(net.table)
        self.weights = torch.from_numpy(state.weights)
        self.inhibition = torch.from_numpy(state.inhibition)
        self.current, self.psp = torch.from_numpy(state.currents), torch.from_numpy(state.psps)
        self.value = dict(zip(UNITS, torch.from_numpy(state.units), strict=True))
        self.none = torch.zeros(net.neurons, dtype=torch.int64)
        self.value |= dict.fromkeys(PASSING, self.none)
        self.noise = iter(words32(self.value["rn"], steps))
        self.draws = iter(words32(self.value["rs"], steps))
        self.spikes = self.clips = self.saturations = 0

    def state(self, rin: int) -> DendriticState:
        """All values as they are, with the generator ``rin`` of input spikes."""
        return DendriticState(
            self.weights.numpy(),
            self.inhibition.numpy(),
            self.current.numpy(),
            self.psp.numpy(),
            self.units(tuple(UNITS)).numpy(),
            rin,
            self.age,
        )

    def units(self, names: tuple[str, ...]) -> Tensor:
        """Rows of values, int64 ``[field, neuron]``."""
        return torch.stack([self.value[name] for name in names])

    def look(self, a: Tensor) -> Tensor:
        """L."""
        return self.table[(a + 384).clamp(0, 1023)]

    def kept(self, x: Tensor, form: Format) -> Tensor:
        """x within its format; what was clipped counts."""
        inside = x.clamp(form.low, form.high)
        self.clips += int((inside != x).sum())
        return inside

    def step(self, arrived: Tensor, learn: bool, plastic: bool) -> None:
        """One step, in which inputs ``[input]`` of 0 and 1 arrive."""
        s, value = self.s, self.value
        drop = rounded(s["leak_i"] * self.current, 16)
        self.current = self.kept(self.current - drop + s["impulse"] * arrived, CURRENT)
        drop = rounded(s["leak_e"] * self.psp, 16)
        self.psp = self.kept(self.psp - drop + self.current, PSP)
        sums = ((self.weights >> 14) * (self.psp >> 4)).sum(1)
        v = self.kept(sums >> 12, PASSING["v"])
        inhibited = (self.inhibition * value["f"]).sum(1) >> 20
        u = value["u"]
        u = u - rounded(s["leak_u"] * u, 16) + rounded(s["gain_d"] * (v - u - inhibited), 16)
        value |= {"v": v, "u": self.kept(u, UNITS["u"])}
        value |= dict.fromkeys(("q", "c", "s"), self.none)
        if not learn:
            value["f"] = self.look(value["u"] >> 8)
            return
        self.estimate()
        if self.age > s["warm_up"]:
            self.change_weights()
            if plastic:
                self.change_inhibition()
        else:
            value["f"] = self.none
        self.age = min(self.age + 1, 65535)

    def estimate(self) -> None:
        """Step 5: mean and variance of u."""
        shift, value = self.s["stat_shift"], self.value
        k = value["u"] >> 6
        mean = value["mean"] + ((k * 1024 - value["mean"]) >> shift)
        d = k - (mean >> 10)
        value["var"] = value["var"] + ((16 * d**2 - value["var"]) >> shift)
        value["mean"] = mean

    def change_weights(self) -> None:
        """Step 6: the response, and the dendrite that learns to predict it."""
        s, value = self.s, self.value
        root = value["var"].double().sqrt().long()
        root = root - (root * root > value["var"]).long()
        root = root + ((root + 1) * (root + 1) <= value["var"]).long()
        distance = 16 * value["u"] - value["mean"]
        z = torch.div(distance, root.clamp(min=1), rounding_mode="floor")
        value["rn"] = next(self.noise)
        total = sum(value["rn"] >> 8 * byte & 255 for byte in range(4))
        f = (self.look(z) + (total - 510) * s["noise"]).clamp(0, 65535)
        q = self.look(s["attenuation"] * value["v"] >> 24)
        c = rounded(rounded((f - q) * (65536 - q), 16) * s["rate"], 16)
        value |= {"f": f, "q": q, "c": c}
        step = rounded(c[:, None] * (self.psp >> 4), 13)
        raw = self.weights - rounded(self.weights, s["decay"]) + step
        self.weights = raw.clamp(WEIGHT.low, WEIGHT.high)
        self.saturations += int((self.weights != raw).sum())

    def change_inhibition(self) -> None:
        """Step 7, as the paper's code goes through it: rows of the spiking, columns, then clip."""
        s, value = self.s, self.value
        value["rs"] = next(self.draws)
        fired = (value["rs"] >> 16) < (s["spike_gain"] * value["f"] >> 16)
        value["s"] = fired.long()
        self.spikes += int(fired.sum())
        for name, leak, jump in (
            ("trace_p", "leak_p", -s["step_p"]),
            ("trace_d", "leak_d", s["step_d"]),
        ):
            left = value[name] - rounded(s[leak] * value[name], 16)
            value[name] = self.kept(left + jump * value["s"], UNITS[name])
        change = rounded((value["trace_p"] + value["trace_d"]) * s["g_max"], 24)
        g = self.inhibition.clone()
        for i in fired.nonzero()[:, 0].tolist():
            g[i] += change
        for i in fired.nonzero()[:, 0].tolist():
            g[:, i] += change
        self.inhibition = g.clamp(0, s["g_max"]).fill_diagonal_(0)
