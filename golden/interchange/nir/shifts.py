"""The integers of neurons with a current, beside the factors of a CubaLIF or CubaLI node.

    w_in dt / tau_syn = 2^gain      r dt / tau_mem = 2^-fraction

NIR holds the factors. The metadata of our export also hold the shifts and their roundings, so that
the current comes back in the same units. They are heard only where they say what the factors say.
"""

from typing import Any

import numpy as np

from spikeloop.golden.quantize.states import CURRENT_BITS
from spikeloop.pysim.network.elements import LeakRounding, Population
from spikeloop.pysim.network.parameters import MAX_GAIN

__all__ = ["read_shifts", "written_shifts"]

MOST = {
    "gain": MAX_GAIN,
    "fraction": CURRENT_BITS,
    "rounding": max(LeakRounding),
    "current_rounding": max(LeakRounding),
}
"""The entries, each int64 ``[size]`` from 0 to this."""


def written_shifts(p: Population) -> dict[str, np.ndarray]:
    """The metadata of a population with a current."""
    return {key: getattr(p, key).astype(np.int64) for key in MOST}


def read_shifts(
    metadata: dict[str, Any], taken: np.ndarray, given: np.ndarray
) -> dict[str, np.ndarray]:
    """The entries of a node whose factors of a step are ``taken`` and ``given``.

    taken: what reaches the current, w_in dt / tau_syn.
    given: what reaches the membrane, r dt / tau_mem.
    Returns nothing unless all entries are there, in range, and agree with the factors.
    """
    entries = {key: np.asarray(metadata.get(key, ())) for key in MOST}
    sizes = {entry.shape for entry in entries.values()}
    if len(sizes) > 1 or any(e.ndim != 1 or e.dtype.kind not in "iu" for e in entries.values()):
        return {}
    if any(not e.size or e.min() < 0 or e.max() > MOST[key] for key, e in entries.items()):
        return {}
    gain, fraction = entries["gain"], entries["fraction"]
    if np.ptp(gain - fraction) or {np.size(taken), np.size(given)} - {1, gain.size}:
        return {}
    same = (2.0**gain == np.ravel(taken)) & (2.0**-fraction == np.ravel(given))
    return entries if same.all() else {}
