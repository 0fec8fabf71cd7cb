"""The macro of dendritic neurons: inputs, weights, somata, statistics, learning, inhibition."""

from tests.campaigns.fault_list.fault import Fault

__all__ = ["DENDRITIC"]

DENDRITIC = [
    Fault(
        "psp-old-current",
        "dendritic/inputs.py",
        ("        m.d.comb += [\n            raised.eq(last - _share(s.leak_e * last) + fed),"),
        (
            "        was = Signal(CURRENT_BITS)\n"
            "        m.d.sweep += was.eq(current)\n"
            "        m.d.comb += [\n"
            "            raised.eq(last - _share(s.leak_e * last) + was),"
        ),
        "a potential takes the synaptic current before its step",
        "dendrites",
    ),
    Fault(
        "psp-wraps",
        "dendritic/inputs.py",
        "new.eq(Mux(raised[PSP_BITS], (1 << PSP_BITS) - 1, raised))",
        "new.eq(raised)",
        "a potential above the top wraps",
        "dendrites",
    ),
    Fault(
        "current-wraps",
        "dendritic/inputs.py",
        "fed.eq(Mux(risen[CURRENT_BITS], (1 << CURRENT_BITS) - 1, risen))",
        "fed.eq(risen)",
        "a synaptic current above the top wraps",
        "dendrites",
    ),
    Fault(
        "leak-floored",
        "dendritic/inputs.py",
        "return (product + (1 << 15)) >> 16",
        "return product >> 16",
        "leaks of inputs round down",
        "dendrites",
    ),
    Fault(
        "fields-kept",
        "dendritic/inputs.py",
        (
            "        m.d.sweep += [self.here.eq(self.fetch & self.live), field.eq(self.field)]\n"
            "        with m.If(self.fetch & self.live & (self.field == 0)):"
        ),
        (
            "        running = Signal(2)\n"
            "        m.d.sweep += [self.here.eq(self.fetch & self.live), field.eq(running)]\n"
            "        m.d.sweep += running.eq(running + (self.fetch & self.live))\n"
            "        with m.If(self.fetch & self.live & (running == 0)):"
        ),
        "the next step goes on with the fields that the last word left over",
        "dendrites",
    ),
    Fault(
        "xorshift64-permuted",
        "dendrites/arithmetic.py",
        "INPUTS = (13, 7, 17)",
        "INPUTS = (17, 7, 13)",
        "the generator of inputs shifts by 17, 7, 13",
        "dendrites",
    ),
    Fault(
        "input-inclusive",
        "dendritic/inputs.py",
        "rin.word_select(field, 16) < self.threshold",
        "rin.word_select(field, 16) <= self.threshold",
        "an input has a spike where the draw is its threshold",
        "dendrites",
    ),
    Fault(
        "flush-moves",
        "dendritic/inputs.py",
        "self.here.eq(self.fetch & self.live)",
        "self.here.eq(self.fetch)",
        "a flush moves currents and potentials",
        "dendrites",
    ),
    Fault(
        "decay-lost",
        "dendritic/lane.py",
        "total.eq(self.weight - decay + grows)",
        "total.eq(self.weight + grows)",
        "weights do not decay",
        "dendrites",
    ),
    Fault(
        "decay-floored",
        "dendritic/lane.py",
        "half.eq((1 << s.decay) >> 1)",
        "half.eq(0)",
        "the decay of weights rounds down",
        "dendrites",
    ),
    Fault(
        "learning-floored",
        "dendritic/lane.py",
        "grows.eq((product + (1 << 12))[13:])",
        "grows.eq(product[13:])",
        "what a weight learns rounds down",
        "dendrites",
    ),
    Fault(
        "weight-wraps",
        "dendritic/lane.py",
        "Mux(below, LOW, Mux(above, HIGH, total))",
        "total",
        "a weight beyond its range wraps",
        "dendrites",
    ),
    Fault(
        "learning-new-psp",
        "dendritic/inputs.py",
        "self.old.eq(psp >> SEEN_SHIFT)",
        "self.old.eq((psp - _share(s.leak_e * psp)) >> SEEN_SHIFT)",
        "weights learn with potentials that have leaked once more",
        "dendrites",
    ),
    Fault(
        "weight-too-early",
        "dendritic/lane.py",
        "shown.eq(new >> WEIGHT_BITS - SEEN_WEIGHT_BITS)",
        "shown.eq(self.weight >> WEIGHT_BITS - SEEN_WEIGHT_BITS)",
        "the dendrite sees the weight of the next input",
        "dendrites",
    ),
    Fault(
        "flush-forgotten",
        "dendritic/control.py",
        "with m.If((left == 1) & ~changes):",
        "with m.If(left == 1):",
        "a show ends without its flush",
        "dendrites",
    ),
    Fault(
        "learns-twice",
        "dendritic/control.py",
        "                    self.learning.eq(0),\n",
        "",
        "a show begins with the learning of the show before",
        "dendrites",
    ),
    Fault(
        "warm-up-short",
        "dendritic/control.py",
        "self.grown.eq(self.age > s.warm_up)",
        "self.grown.eq(self.age >= s.warm_up)",
        "learning begins a step early",
        "dendrites",
    ),
    Fault(
        "learning-age-wraps",
        "dendritic/control.py",
        "with m.If(s.learn & (self.age != full)):",
        "with m.If(s.learn):",
        "the age wraps",
        "dendrites",
    ),
    Fault(
        "age-of-frozen",
        "dendritic/control.py",
        "with m.If(s.learn & (self.age != full)):",
        "with m.If(self.age != full):",
        "frozen steps count as learning ones",
        "dendrites",
    ),
    Fault(
        "stimulus-first",
        "dendritic/control.py",
        "base.eq(s.stimulus * p.inputs)",
        "base.eq(0)",
        "every show has stimulus 0",
        "dendrites",
    ),
    Fault(
        "saturations-idle",
        "dendritic/macro.py",
        "lane.over & (i < self.settings.neurons)",
        "lane.over",
        "weights of idle lanes count where they saturate",
        "dendrites",
    ),
    Fault(
        "v-wraps",
        "dendrites/membrane.py",
        "m.d.tail += self.v.eq(v)",
        "m.d.tail += self.v.eq(whole)",
        "a sum beyond v wraps",
        "dendrites-cover",
    ),
    Fault(
        "inhibition-added",
        "dendrites/membrane.py",
        "self.v - self.u - (pulled",
        "self.v - self.u + (pulled",
        "neurons excite each other",
        "dendrites",
    ),
    Fault(
        "inhibition-kept",
        "dendrites/membrane.py",
        "Mux(phase.first, 0, pulled)",
        "pulled",
        "inhibition adds up over the steps",
        "dendrites",
    ),
    Fault(
        "response-cleared",
        "dendrites/response.py",
        "with m.If(phase.mean):",
        "with m.If(phase.first):",
        "the inhibition sees responses of this step, still 0",
        "dendrites",
    ),
    Fault(
        "distance-short",
        "dendrites/statistics.py",
        "distance.eq(k - (self.mean >> 10))",
        "distance.eq(k - (self.mean >> 10) - 1)",
        "the distance from the mean is one short",
        "dendrites",
    ),
    Fault(
        "deviation-zero",
        "dendrites/statistics.py",
        "deviation.eq(Mux(answer == 0, 1, answer))",
        "deviation.eq(answer)",
        "a deviation of 0 divides",
        "dendrites",
    ),
    Fault(
        "quotient-truncated",
        "dendrites/statistics.py",
        "(self.u << 4) - self.mean + (deviation << 8) + (deviation << 7)",
        (
            "(self.u << 4) - self.mean + (deviation << 8) + (deviation << 7)\n"
            "                + Mux((self.u << 4) < self.mean, deviation - 1, 0)"
        ),
        "negative quotients round towards 0",
        "dendrites",
    ),
    Fault(
        "root-short",
        "dendritic/phases.py",
        "ROOT_CYCLES, QUOTIENT_CYCLES = 18, 10",
        "ROOT_CYCLES, QUOTIENT_CYCLES = 17, 10",
        "the root lacks its last bit",
        "dendrites",
    ),
    Fault(
        "frozen-standardised",
        "dendrites/neuron.py",
        "with m.Elif(s.learn):",
        "with m.Elif(s.learn | 1):",
        "a frozen neuron looks up its deviation, not its potential",
        "dendrites",
    ),
    Fault(
        "noise-held",
        "dendrites/response.py",
        "with m.If(phase.draw):",
        "with m.If(phase.draw & (self.f > 255)):",
        "no noise is drawn for a response near 0",
        "dendrites",
    ),
    Fault(
        "noise-wraps",
        "dendrites/response.py",
        "Mux(noisy < 0, 0, Mux(noisy > ONE - 1, ONE - 1, noisy))",
        "noisy",
        "noise takes a response round the end",
        "dendrites",
    ),
    Fault(
        "gate-floored",
        "dendrites/response.py",
        "self.c.eq((product + ONE // 2) >> 16)",
        "self.c.eq(product >> 16)",
        "the products of c round down",
        "dendrites",
    ),
    Fault(
        "prediction-kept",
        "dendrites/response.py",
        "m.d.tail += [self.q.eq(0), self.c.eq(0)]",
        "m.d.tail += self.c.eq(0)",
        "a step that learns nothing keeps the prediction",
        "dendrites",
    ),
    Fault(
        "spike-old-response",
        "dendrites/neuron.py",
        (
            "        used = Signal()\n"
            "        m.d.comb += [\n"
            "            used.eq(self.i < s.neurons),\n"
            "            traces.f.eq(response.f),"
        ),
        (
            "        used, late = Signal(), Signal(16)\n"
            "        with m.If(phase.gather):\n"
            "            m.d.tail += late.eq(response.f)\n"
            "        m.d.comb += [\n"
            "            used.eq(self.i < s.neurons),\n"
            "            traces.f.eq(late),"
        ),
        "output spikes are drawn with the response of the step before",
        "dendrites",
    ),
    Fault(
        "spikes-idle",
        "dendrites/traces.py",
        "phase.trace & self.used & (",
        "phase.trace & (",
        "idle lanes have output spikes",
        "dendrites",
    ),
    Fault(
        "traces-swapped",
        "dendrites/traces.py",
        "low.eq(self.trace_p - Mux(self.spike, s.step_p, 0))",
        "low.eq(self.trace_p + Mux(self.spike, s.step_p, 0))",
        "a spike raises the first trace",
        "dendrites",
    ),
    Fault(
        "traces-rest",
        "dendrites/traces.py",
        "with m.If(phase.rate & plastic):",
        "with m.If(phase.rate):",
        "a trace leaks in steps that are not plastic",
        "dendrites",
    ),
    Fault(
        "rows-for-columns",
        "dendrites/inhibition.py",
        "Mux(self.s, self.other_gain, 0) + Mux(self.other_s, self.gain, 0)",
        "Mux(self.s, self.gain, 0) + Mux(self.other_s, self.other_gain, 0)",
        "rows of the inhibition learn what columns should",
        "dendrites",
    ),
    Fault(
        "rows-only",
        "dendrites/inhibition.py",
        "Mux(self.s, self.other_gain, 0) + Mux(self.other_s, self.gain, 0)",
        "Mux(self.s, self.other_gain, 0)",
        "columns of the inhibition do not learn",
        "dendrites",
    ),
    Fault(
        "clip-between",
        "dendrites/inhibition.py",
        "self.pull + Mux(self.s, self.other_gain, 0) + Mux(self.other_s, self.gain, 0)",
        (
            "(lambda x: Mux(x < 0, 0, Mux(x > high, high, x)))(\n"
            "                    self.pull + Mux(self.s, self.other_gain, 0)\n"
            "                )\n"
            "                + Mux(self.other_s, self.gain, 0)"
        ),
        "the inhibition is clipped between row and column",
        "dendrites",
    ),
    Fault(
        "inhibition-of-itself",
        "dendrites/inhibition.py",
        "if k != self.i:",
        "if k >= 0:",
        "a neuron inhibits itself",
        "dendrites",
    ),
]
