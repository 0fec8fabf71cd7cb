"""A net of dendritic neurons: settings and table, as integers. docs/dendritic.md is normative."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from spikeloop.pysim.common.checks import check_int, check_object
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.dendrites.settings import MAX_STIMULI, RATE_BITS, SETTINGS, TABLE_WORDS

__all__ = ["DendriticNet", "sigmoid_table"]


def sigmoid_table(slope: float = 5.0, threshold: float = 0.5) -> np.ndarray:
    """The table of 1 / (1 + exp(slope (threshold - x))) over x in -1.5..2.5: int64 ``[1024]``."""
    x = (np.arange(TABLE_WORDS) + 0.5) / 256 - 1.5
    return np.floor(65535 / (1 + np.exp(slope * (threshold - x))) + 0.5).astype(np.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class DendriticNet:
    """What does not change while a net runs. Build it with :meth:`make`, which checks.

    settings: by name, those of SETTINGS
    table:    int64 ``[1024]``, 0..65535: what L looks up
    metadata: what the host wants to remember
    """

    settings: dict[str, int]
    table: np.ndarray
    metadata: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def make(
        cls,
        settings: dict[str, int],
        table: np.ndarray | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> "DendriticNet":
        """A net; what ``settings`` lacks is at its default. InputError for what is out of range."""
        check_object("metadata of a dendritic net", {} if metadata is None else metadata)
        unknown = sorted(set(settings) - set(SETTINGS))
        if unknown:
            raise InputError(
                f"setting of dendritic neurons must be one of {', '.join(SETTINGS)}, "
                f"not {unknown[0]!r}"
            )
        values = {name: settings.get(name, s.default) for name, s in SETTINGS.items()}
        for name, setting in SETTINGS.items():
            check_int(f"setting {name}", values[name], setting.low, setting.high)
        table = sigmoid_table() if table is None else np.asarray(table)
        if table.shape != (TABLE_WORDS,) or not np.issubdtype(table.dtype, np.integer):
            raise InputError(
                f"table must be {TABLE_WORDS} integers, not {table.dtype} of shape {table.shape}"
            )
        wrong = table[(table < 0) | (table > 65535)]
        if wrong.size:
            raise InputError(f"table must be in 0..65535, not {wrong[0]}")
        return cls(settings=values, table=table.astype(np.int64), metadata=metadata or {})

    def __getitem__(self, setting: str) -> int:
        return self.settings[setting]

    @property
    def inputs(self) -> int:
        """n."""
        return self.settings["inputs"]

    @property
    def neurons(self) -> int:
        """N."""
        return self.settings["neurons"]

    def with_(self, **settings: int) -> "DendriticNet":
        """The same net with other settings, checked."""
        return DendriticNet.make({**self.settings, **settings}, self.table, self.metadata)

    def named(self, **metadata: Any) -> "DendriticNet":
        """The same net with further metadata."""
        return replace(self, metadata={**self.metadata, **metadata})

    def check_stimuli(self, stimuli: np.ndarray) -> np.ndarray:
        """Thresholds as int64 ``[stimulus, input]``; InputError if they do not fit."""
        stimuli = np.asarray(stimuli)
        if stimuli.ndim != 2 or not np.issubdtype(stimuli.dtype, np.integer):
            raise InputError(
                f"stimuli must be integers [stimulus, input], not {stimuli.dtype} of shape "
                f"{stimuli.shape}"
            )
        check_int("number of stimuli", len(stimuli), 1, MAX_STIMULI)
        if stimuli.shape[1] != self.inputs:
            raise InputError(
                f"inputs of a stimulus must be {self.inputs}, the net's, not {stimuli.shape[1]}"
            )
        high = (1 << RATE_BITS) - 1
        wrong = stimuli[(stimuli < 0) | (stimuli > high)]
        if wrong.size:
            raise InputError(f"thresholds of a stimulus must be in 0..{high}, not {wrong[0]}")
        return stimuli.astype(np.int64)
