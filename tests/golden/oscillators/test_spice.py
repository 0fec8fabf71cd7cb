"""The exact circuit beside ngspice: period, boundary and phase of two oscillators.

The device is ngspice's own switch with hysteresis, metallic at 1.999 V across it and insulating
again at 1 V. Its solver shares nothing with ours.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from spikeloop.golden.oscillators.exact import boundary, free, two
from spikeloop.pysim.oscillators.circuit import (
    CAPACITY,
    PERIOD,
    R_INS,
    R_MET,
    R_SERIES,
    SUPPLY,
    V_MINUS,
    V_PLUS,
)

pytestmark = pytest.mark.skipif(
    shutil.which("ngspice") is None, reason="ngspice is not installed: apt install ngspice"
)
STEP, END, EDGE = 2e-9, 300e-6, 7


def netlist(ohm: float | None, delay: float) -> str:
    """Two oscillators that stand ``delay`` seconds apart, with ``ohm`` between them or nothing."""
    high, low = SUPPLY - V_MINUS, SUPPLY - V_PLUS  # volts across a device that turns it
    edges = f"trig v(a) val=1 rise={EDGE} targ"
    return f"""* two oscillators
.model vo2 sw vt={(high + low) / 2} vh={(high - low) / 2} ron={R_MET} roff={R_INS}
Vdd vdd 0 dc {SUPPLY}
S1 vdd a vdd a vo2 off
R1 a 0 {R_SERIES}
C1 a 0 {CAPACITY} ic={free(delay)}
S2 vdd b vdd b vo2 off
R2 b 0 {R_SERIES}
C2 b 0 {CAPACITY} ic={V_PLUS}
{f"Rc a b {ohm}" if ohm else ""}
.options reltol=1e-5 abstol=1e-12 vntol=1e-7 method=gear
.tran {STEP} {END} 0 {STEP} uic
.control
set noaskquit
run
meas tran period {edges} v(a) val=1 rise={EDGE + 1}
meas tran apart {edges} v(b) val=1 rise={EDGE}
quit
.endc
.end
"""


def simulated(folder: Path, ohm: float | None, delay: float) -> tuple[float, float]:
    """Phase in 0..0.5 of a period, and the period in free ones."""
    (folder / "two.cir").write_text(netlist(ohm, delay))
    command = ["ngspice", "-b", str(folder / "two.cir")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    found = dict(re.findall(r"^(period|apart)\s*=\s*([-\d.e+]+)", done.stdout, re.MULTILINE))
    assert set(found) == {"period", "apart"}, done.stdout[-2000:] + done.stderr[-2000:]
    period, phase = float(found["period"]), float(found["apart"]) / float(found["period"]) % 1
    return min(phase, 1 - phase), period / PERIOD


def test_a_free_oscillator_has_the_period(tmp_path: Path) -> None:
    apart, period = simulated(tmp_path, None, PERIOD / 4)
    assert period == pytest.approx(1, abs=0.005)
    assert apart == pytest.approx(0.25, abs=0.005)


def test_two_oscillators_turn_at_the_same_resistance(tmp_path: Path) -> None:
    delay = PERIOD / 4
    assert 11e3 < boundary(delay) < 12e3
    for ohm, together in ((11e3, True), (12e3, False)):
        ours, theirs = two(ohm, delay)[0], simulated(tmp_path, ohm, delay)[0]
        assert (ours < 0.05, theirs < 0.05) == (together, together), (ohm, ours, theirs)


def test_the_period_out_of_phase_is_the_same(tmp_path: Path) -> None:
    phase, period = simulated(tmp_path, 20e3, PERIOD / 4)
    assert phase == pytest.approx(0.5, abs=0.01)
    assert period == pytest.approx(two(20e3, PERIOD / 4)[1], abs=0.005)
