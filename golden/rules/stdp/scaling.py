"""Scaling functions of STDP, and where they balance (Chakraborty & Mukhopadhyay 2021, eq. 4 to 8).

                a+(w)                       a-(w)
    log         c+ exp(-w / (W0 gamma))     c- w / W0                                  w <= W0
                                            c- (1 + ln(1 + S (w / W0 - 1)) / S)        w > W0
    add         c+                          c-
    mult        c+                          c- w

Uncorrelated spikes leave a weight where tau+ a+(w) = tau- a-(w), as far as both rates are low.
"""

import math
from dataclasses import dataclass

from spikeloop.pysim.common.errors import InputError

__all__ = ["KINDS", "Scaling"]

KINDS = ("log", "add", "mult")


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """The two functions.

    kind:   log, add or mult
    plus, minus: c+ and c-
    w0:     fixed point of log, 0 < w0 < 1
    s:      degree of the log-like saturation, above 0
    gamma:  decay of potentiation, in w0
    """

    kind: str
    plus: float
    minus: float
    w0: float = 0.25
    s: float = 5.0
    gamma: float = 50.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"kind of STDP must be one of {', '.join(KINDS)}, not {self.kind!r}")
        for name in ("plus", "minus", "w0", "s", "gamma"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"{name} of STDP must be above 0, not {getattr(self, name)}")

    def potentiation(self, w: float) -> float:
        """a+ of a weight."""
        if self.kind == "log":
            return self.plus * math.exp(-w / (self.w0 * self.gamma))
        return self.plus

    def depression(self, w: float) -> float:
        """a- of a weight."""
        if self.kind == "add":
            return self.minus
        if self.kind == "mult":
            return self.minus * w
        if w <= self.w0:
            return self.minus * w / self.w0
        return self.minus * (1 + math.log(1 + self.s * (w / self.w0 - 1)) / self.s)

    def balance(self, w: float, tau_plus: float, tau_minus: float) -> float:
        """tau+ a+(w) - tau- a-(w)."""
        return tau_plus * self.potentiation(w) - tau_minus * self.depression(w)

    def fixed_point(self, tau_plus: float, tau_minus: float) -> float:
        """The weight of mult at which both balance: c+ tau+ / (c- tau-)."""
        if self.kind != "mult":
            raise InputError(
                f"fixed point in closed form must be asked of mult, not of {self.kind}"
            )
        return self.plus * tau_plus / (self.minus * tau_minus)
