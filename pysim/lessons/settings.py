"""The settings of a plastic population (docs/plasticity.md): names, widths and ranges, once.

The RTL's registers, the checks and the lesson's file all come from the table SETTINGS.
"""

from dataclasses import dataclass

from spikeloop.pysim.common.checks import check_int
from spikeloop.pysim.common.errors import InputError

__all__ = ["SETTINGS", "WHOLE", "Setting", "check_settings", "setting_bits"]

WHOLE = 1 << 16
"""A kept part of everything: no decay."""
P, B = "membrane", "weight"  # widths that the population gives


@dataclass(frozen=True)
class Setting:
    """One setting.

    bits: its width, or "membrane" or "weight".
    low, high: its range; None: what its width allows.
    default: its value where none is given; None: the largest value.
    """

    name: str
    bits: int | str
    default: int | None = 0
    signed: bool = False
    low: int | None = None
    high: int | None = None


SETTINGS = (
    Setting("v_rest", P, signed=True),
    Setting("v_reset", P, signed=True),
    Setting("v_th", P, signed=True),
    Setting("v_low", P, signed=True),
    Setting("e_exc", P, signed=True),
    Setting("e_inh", P, signed=True),
    Setting("bias", P, signed=True),
    Setting("k_m", 16),
    Setting("keep_e", 17, high=WHOLE),
    Setting("keep_i", 17, high=WHOLE),
    Setting("keep_y", 17, high=WHOLE),
    Setting("keep_theta", 17, default=WHOLE, high=WHOLE),
    Setting("theta_plus", 24),
    Setting("theta_period", 4),
    Setting("refractory", 6),
    Setting("gate", 1),
    Setting("fire", 1, default=1),
    Setting("w_shift", 5, high=16),
    Setting("w_lat", 24),
    Setting("w_teach", 24),
    Setting("x_set", 1, default=1),
    Setting("y_set", 1, default=1),
    Setting("x_one", 16),
    Setting("y_one", 16),
    Setting("b", 17, signed=True),
    Setting("f0", 17, signed=True),
    Setting("ltd", 1),
    Setting("shift_post", 6, default=16, low=8, high=32),
    Setting("shift_pre", 6, default=16, low=8, high=32),
    Setting("stochastic", 1, default=1),
    Setting("sigma", 8),
    Setting("w_min", B),
    Setting("w_max", B, default=None),
    Setting("target", 32),
    Setting("seed", 32),
    Setting("first_tick", 32),
)


def setting_bits(setting: Setting, weight_bits: int, membrane_bits: int) -> int:
    """The width of a setting in a population of these widths."""
    given = {B: weight_bits, P: membrane_bits}
    return setting.bits if isinstance(setting.bits, int) else given[setting.bits]


def check_settings(values: dict[str, int], weight_bits: int, membrane_bits: int) -> dict[str, int]:
    """All settings in the table's order, defaults filled in.

    InputError for an unknown name, a value out of range, or w_min above w_max.
    """
    names = [setting.name for setting in SETTINGS]
    if unknown := sorted(set(values) - set(names)):
        raise InputError(
            f"setting of a plastic population must be one of {', '.join(names)}, not {unknown[0]!r}"
        )
    full = {}
    for setting in SETTINGS:
        bits = setting_bits(setting, weight_bits, membrane_bits)
        least, most = (
            (-(1 << bits - 1), (1 << bits - 1) - 1) if setting.signed else (0, (1 << bits) - 1)
        )
        low = least if setting.low is None else setting.low
        high = most if setting.high is None else setting.high
        default = high if setting.default is None else setting.default
        value = values.get(setting.name, default)
        value = int(value) if isinstance(value, bool) else value
        check_int(f"setting {setting.name} of a plastic population", value, low, high)
        full[setting.name] = value
    if full["w_min"] > full["w_max"]:
        raise InputError(
            f"setting w_min of a plastic population must be at most w_max, {full['w_max']}, "
            f"not {full['w_min']}"
        )
    return full
