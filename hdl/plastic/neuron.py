"""The neuron step of the plastic core, one neuron a cycle, seven cycles from state to state.

    ge, gi, y, theta decay, and take what came --> (e - v) g --> I --> I k_m --> u --> spike, state

Step 4 of docs/plasticity.md, "One tick", line for line. The state's row is read in the cycle of
``valid`` and arrives one cycle later.

Source of the neuron: Chakraborty & Mukhopadhyay 2021, sec. 2.1.1; Mo et al. 2022, eq. 1 to 5.
"""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.synapses.memories import entry_layout, settings_layout, state_layout
from spikeloop.hdl.synapses.pipe import delayed, least, nearest
from spikeloop.pysim.plastic.params import PlasticParams

__all__ = ["LATENCY", "NeuronStep"]

LATENCY = 7
FULL16, FULL24 = (1 << 16) - 1, (1 << 24) - 1


class NeuronStep(wiring.Component):
    """The step. It works in domain ``neuron``, which must run while ``awake`` or ``valid``.

    Members
    -------
    settings: In   of the population.
    learn: In(1)   the tick learns.
    adapt: In(1)   the tick moves thresholds.
    decay: In(1)   thresholds decay in this tick.
    lateral: In    w_lat * C of the tick before.
    rivals: In     w_lat * (C - 1).
    valid: In(1)   a neuron enters.
    entry: In      its number, lane and row 0 of its word.
    total: In      S of this neuron.
    state: In      its state, one cycle later.
    teach: In(1)   its teacher spike, one cycle later.
    live: Out(1)   a neuron with a post trace goes by: an entry of the list of these.
    lived: Out     that entry.
    done: Out(1)   a neuron leaves.
    left: Out      its entry.
    spike: Out(1)  it spiked.
    new: Out       its new state.
    awake: Out(1)  a neuron is inside.
    """

    def __init__(self, p: PlasticParams):
        self.p = p
        entry, state = entry_layout(p), state_layout(p)
        self.wide = p.neuron_bits + 1 + 24
        super().__init__(
            {
                "settings": In(settings_layout(p)),
                "learn": In(1),
                "adapt": In(1),
                "decay": In(1),
                "lateral": In(self.wide),
                "rivals": In(self.wide),
                "valid": In(1),
                "entry": In(entry),
                "total": In(p.sum_bits),
                "state": In(state),
                "teach": In(1),
                "live": Out(1),
                "lived": Out(entry),
                "done": Out(1),
                "left": Out(entry),
                "spike": Out(1),
                "new": Out(state),
                "awake": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        p, s, d = self.p, self.settings, m.d.neuron
        P = p.membrane_bits

        def held(shape, name: str) -> Signal:
            return Signal(shape, name=name, reset_less=True)

        inside = [self.valid]
        for stage in range(1, LATENCY + 1):
            here = Signal(name=f"inside_{stage}")
            d += here.eq(inside[-1])
            inside.append(here)
        entry = delayed(m, "neuron", self.entry.as_value(), LATENCY, "entry")
        total = held(p.sum_bits, "sum")
        d += total.eq(self.total)

        # 1: decays, and what came
        was = self.state
        ge1, gi1, y2 = held(24, "ge_decayed"), held(24, "gi_decayed"), held(16, "y_decayed")
        theta2, drive = held(24, "theta_decayed"), held(p.sum_bits + 16, "drive")
        d += [
            ge1.eq((was.ge * s.keep_e) >> 16),
            gi1.eq((was.gi * s.keep_i) >> 16),
            y2.eq((was.y * s.keep_y) >> 16),
            theta2.eq(Mux(self.decay, (was.theta * s.keep_theta) >> 16, was.theta)),
            drive.eq(Mux(s.gate & (was.c != 0), 0, total << s.w_shift)),
        ]
        m.d.comb += [
            self.live.eq(inside[1] & (was.y != 0)),
            self.lived.eq(entry[1]),
            self.lived.y.eq(was.y),
        ]
        v = [None, *delayed(m, "neuron", was.v, 5, "v")]
        c = [None, *delayed(m, "neuron", was.c, 6, "c")]
        dirty = [None, *delayed(m, "neuron", was.dirty, 6, "dirty")]
        own2 = delayed(m, "neuron", was.own, 1, "own")[1]
        teach2 = delayed(m, "neuron", self.teach, 1, "teach")[1]
        y = [None, None, *delayed(m, "neuron", y2, 5, "y")]
        theta = [None, None, *delayed(m, "neuron", theta2, 5, "theta")]

        # 2: conductances, and how far the potentials are away
        axons = Signal(24)
        ge3, gi3 = held(24, "ge_3"), held(24, "gi_3")
        to_exc, to_inh = held(signed(P + 1), "to_exc"), held(signed(P + 1), "to_inh")
        rest3 = held(signed(P + 2), "to_rest")
        m.d.comb += axons.eq(least(ge1 + drive, FULL24))
        d += [
            ge3.eq(least(axons + Mux(teach2, s.w_teach, 0), FULL24)),
            gi3.eq(least(gi1 + Mux(own2, self.rivals, self.lateral), FULL24)),
            to_exc.eq(s.e_exc - v[2]),
            to_inh.eq(s.e_inh - v[2]),
            rest3.eq(s.v_rest - v[2] + s.bias),
        ]
        ge = [None] * 3 + delayed(m, "neuron", ge3, 4, "ge")
        gi = [None] * 3 + delayed(m, "neuron", gi3, 4, "gi")
        rest4 = delayed(m, "neuron", rest3, 1, "rest")[1]

        # 3: currents of the conductances; 4: their sum; 5: times dt / tau
        by_exc, by_inh = held(signed(P + 26), "by_exc"), held(signed(P + 26), "by_inh")
        current = held(signed(P + 13), "current")
        change = held(signed(P + 30), "change")
        d += [
            by_exc.eq(ge3 * to_exc),
            by_inh.eq(gi3 * to_inh),
            current.eq(rest4 + nearest(by_exc, 16) + nearest(by_inh, 16)),
            change.eq(current * s.k_m),
        ]

        # 6: the membrane
        free, u = Signal(signed(P + 16)), held(signed(P), "u")
        top = (1 << P - 1) - 1
        m.d.comb += free.eq(v[6] + nearest(change, 16))
        bounded = Mux(free < s.v_low, s.v_low, Mux(free > top, top, free))
        d += u.eq(Mux(c[6] != 0, s.v_reset, bounded))

        # 7: spike and new state
        raised = Mux(s.y_set, FULL16, least(y[7] + s.y_one, FULL16))
        higher = Mux(self.adapt, least(theta[7] + s.theta_plus, FULL24), theta[7])
        m.d.comb += [
            self.done.eq(inside[7]),
            self.left.eq(entry[7]),
            self.spike.eq(s.fire & (c[7] == 0) & (u >= s.v_th + theta[7])),
            self.new.v.eq(Mux(self.spike, s.v_reset, u)),
            self.new.ge.eq(ge[7]),
            self.new.gi.eq(gi[7]),
            self.new.theta.eq(Mux(self.spike, higher, theta[7])),
            self.new.c.eq(Mux(self.spike, s.refractory, Mux(c[7] == 0, 0, c[7] - 1))),
            self.new.y.eq(Mux(self.spike, raised, y[7])),
            self.new.own.eq(self.spike),
            self.new.dirty.eq(dirty[7] | (self.spike & self.learn)),
            self.awake.eq(sum(inside[1:]) != 0),
        ]
        return m
