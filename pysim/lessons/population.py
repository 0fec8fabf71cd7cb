"""A population whose synapses learn: its size, its settings and its tables (docs/plasticity.md).

There is no arithmetic on data here. golden, pysim and the host of the RTL all read it.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spikeloop.pysim.common.checks import check_int
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.lessons.settings import check_settings
from spikeloop.pysim.lessons.tables import AGES, SEGMENTS, TABLE_MAX, check_table

__all__ = ["MAX_AXONS", "MAX_NEURONS", "PlasticPopulation"]

MAX_AXONS = MAX_NEURONS = 4096


@dataclass(frozen=True, kw_only=True, eq=False)
class PlasticPopulation:
    """``neurons`` neurons with a synapse from every one of ``axons`` lines. Build with make().

    axons:          1..4096
    neurons:        1..4096
    weight_bits:    8..16, unsigned
    membrane_bits:  16..32, signed
    settings:       value by name, pysim/lessons/settings.py
    post, pre:      int64 ``[128, 2]``, base and slope: weight dependence of post and pre events
    near, far:      int64 ``[32]``: pre trace by age
    """

    axons: int
    neurons: int
    weight_bits: int
    membrane_bits: int
    settings: dict[str, int]
    post: np.ndarray
    pre: np.ndarray
    near: np.ndarray
    far: np.ndarray

    @classmethod
    def make(
        cls,
        axons: int,
        neurons: int,
        *,
        weight_bits: int = 16,
        membrane_bits: int = 24,
        post: np.ndarray | None = None,
        pre: np.ndarray | None = None,
        near: np.ndarray | None = None,
        far: np.ndarray | None = None,
        **settings: int,
    ) -> "PlasticPopulation":
        """A population; tables and settings that are not given are 0 or the settings' defaults.

        InputError for a value out of range, a wrong shape or an unknown setting.
        """
        for name, value, low, high in (
            ("axons", axons, 1, MAX_AXONS),
            ("neurons", neurons, 1, MAX_NEURONS),
            ("weight_bits", weight_bits, 8, 16),
            ("membrane_bits", membrane_bits, 16, 32),
        ):
            check_int(f"{name} of a plastic population", value, low, high)
        rows = np.zeros((SEGMENTS, 2), np.int64)
        ages = np.zeros(AGES, np.int64)
        return cls(
            axons=axons,
            neurons=neurons,
            weight_bits=weight_bits,
            membrane_bits=membrane_bits,
            settings=check_settings(settings, weight_bits, membrane_bits),
            post=check_table(rows if post is None else post, "post"),
            pre=check_table(rows if pre is None else pre, "pre"),
            near=_ages(ages if near is None else near, "near"),
            far=_ages(ages if far is None else far, "far"),
        )

    def __getitem__(self, name: str) -> int:
        """The value of a setting."""
        return self.settings[name]

    def changed(self, **settings: int) -> "PlasticPopulation":
        """The same population with other settings."""
        new = check_settings({**self.settings, **settings}, self.weight_bits, self.membrane_bits)
        return replace(self, settings=new)

    @property
    def size(self) -> dict[str, Any]:
        """axons, neurons, weight_bits and membrane_bits."""
        names = ("axons", "neurons", "weight_bits", "membrane_bits")
        return {name: getattr(self, name) for name in names}


def _ages(table: np.ndarray, what: str) -> np.ndarray:
    table = np.asarray(table)
    if table.shape != (AGES,) or not np.issubdtype(table.dtype, np.integer):
        raise InputError(
            f"table {what} must be integers of shape ({AGES},), not {table.dtype} of shape "
            f"{table.shape}"
        )
    if wrong := table[(table < 0) | (table > TABLE_MAX)].tolist():
        raise InputError(f"values of table {what} must be in 0..{TABLE_MAX}, not {wrong[0]}")
    return table.astype(np.int64)
