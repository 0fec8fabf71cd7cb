"""Energy and delay of a layer in digital hardware and in a PIM macro: the model of ACE-SNN.

The source is Datta et al. 2022, Eqs 22-27 and Table 4. With W = Ci Co k^3 weights and P = Ho Wo Do
output positions per channel:

    CNN, Eqs 22 and 23    E = W E_read + W P E_mac + P_leak T
                          T = W / (B_IO / B_W N_bank) T_read + W / N_mac P T_mac
    SNN, Eqs 24 and 25    E = W E_read + W P zeta E_ac + P_leak T
                          T = W / (B_IO / B_W N_bank) T_read + W / N_ac P T_ac
    PIM, Eqs 26 and 27    E = W P (E_BLP + E_adc / R) + P_leak T
                          T = W / (N_col / B_W N_bank) P (T_BLP + T_adc / R)
    section 7.3.1         E_mac(Q) = E_mac(32) (Q / 32)^exponent
                          E_ac(Q) = E_ac(32) Q / 32

Two equations are corrected here. Eq 26 prints no P, so its energy would not depend on the size of
the map; ``printed`` gives the equation as printed. Eq 27 prints T_read for T_BLP; both are 4 ns.

The paper does not print R, zeta, P_leak and the bits of E_mac for 8-bit pixels and 6-bit weights:
they are arguments. The sums of the first layer are formed once, not in each of the T steps.
docs/pim.md says what follows from the model.
"""

from dataclasses import dataclass

from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.pim.window import PimWindow

__all__ = ["LEAKAGE", "ACCUMULATIONS", "ZETA", "Constants", "Cost", "digital", "pim"]

LEAKAGE = 0.0
"""mW, default of P_leak, which the paper does not print."""
ACCUMULATIONS = 27
"""Default of R, accumulations per conversion, which the paper does not print.

These are the kernel rows of CNN-3D's first layer, so that an output takes one conversion.
"""
ZETA = 0.568
"""Default of zeta, spikes per neuron over all steps.

It is the one figure printed: the third layer of CNN-3D on Indian Pines. All layers are below 1.4.
"""


@dataclass(frozen=True, kw_only=True)
class Constants:
    """Table 4: bits, columns, banks and units; times in ns; energies in pJ.

    Energies of MAC and AC are those at 32 bits.

    exponent: of E_mac; 1.25 as the text says. The ratios in the text follow from 1.5: 12.5 between
    ANNs of 32 and 6 bits, 13 between MAC and AC at 6 bits.
    """

    io_bits: int = 64
    weight_bits: int = 6
    columns: int = 256
    banks: int = 4
    units: int = 175
    t_read: float = 4.0
    t_blp: float = 4.0
    t_mac: float = 4.0
    t_ac: float = 0.4
    t_adc: float = 6.0
    e_mac: float = 3.1
    e_ac: float = 0.1
    e_read: float = 5.2
    e_blp: float = 0.08
    e_adc: float = 0.268
    exponent: float = 1.25

    def mac(self, bits: float) -> float:
        """pJ of a multiplication and addition of ``bits``.

        For 8-bit pixels and 6-bit weights take their geometric mean, 48^0.5.
        """
        return self.e_mac * (bits / 32) ** self.exponent

    def ac(self, bits: float) -> float:
        """pJ of an addition of ``bits``."""
        return self.e_ac * bits / 32


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The cost of one image.

    read:     pJ to read the weights
    compute:  pJ of the arithmetic
    leakage:  pJ leaked meanwhile
    delay:    ns
    """

    read: float
    compute: float
    leakage: float
    delay: float

    @property
    def energy(self) -> float:
        """pJ"""
        return self.read + self.compute + self.leakage

    @property
    def edp(self) -> float:
        """pJ ns"""
        return self.energy * self.delay

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            read=self.read + other.read,
            compute=self.compute + other.compute,
            leakage=self.leakage + other.leakage,
            delay=self.delay + other.delay,
        )


def digital(
    window: PimWindow,
    channels: int,
    *,
    bits: float,
    zeta: float | None = None,
    leakage: float = LEAKAGE,
    constants: Constants = Constants(),
) -> Cost:
    """The cost in digital hardware: Eqs 22 and 23, or with ``zeta`` Eqs 24 and 25.

    bits:     of the arithmetic. Weights are read with B_W of Table 4 whatever ``bits`` is, as in
              the paper.
    zeta:     spikes per input neuron over all steps: one AC per spike. None: one MAC per product.
    leakage:  mW

    InputError for negative arguments.
    """
    _check(bits=bits, zeta=zeta or 0.0, leakage=leakage)
    c, weights = constants, channels * window.rows
    each, time = (c.mac(bits), c.t_mac) if zeta is None else (zeta * c.ac(bits), c.t_ac)
    delay = (
        weights / (c.io_bits / c.weight_bits * c.banks) * c.t_read
        + weights / c.units * window.positions * time
    )
    return Cost(
        read=weights * c.e_read,
        compute=weights * window.positions * each,
        leakage=leakage * delay,
        delay=delay,
    )


def pim(
    window: PimWindow,
    channels: int,
    *,
    accumulations: float = ACCUMULATIONS,
    leakage: float = LEAKAGE,
    printed: bool = False,
    constants: Constants = Constants(),
) -> Cost:
    """The cost in a PIM macro: Eqs 26 and 27.

    accumulations:  R, accumulations per conversion; InputError below 1
    leakage:        mW
    printed:        Eq 26 as printed, without the map
    """
    _check(leakage=leakage)
    if accumulations < 1:
        raise InputError(f"accumulations per conversion must be at least 1, not {accumulations}")
    c, weights = constants, channels * window.rows
    delay = (
        weights
        / (c.columns / c.weight_bits * c.banks)
        * window.positions
        * (c.t_blp + c.t_adc / accumulations)
    )
    products = weights * (1 if printed else window.positions)
    return Cost(
        read=0.0,
        compute=products * (c.e_blp + c.e_adc / accumulations),
        leakage=leakage * delay,
        delay=delay,
    )


def _check(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value < float("inf"):
            raise InputError(f"{name} of the cost model must be at least 0, not {value}")
