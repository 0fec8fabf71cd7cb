"""The scale with which real weights are integers, exactly where there is one."""

import numpy as np

from spikeloop.golden.quantize.leak import round_half_away

__all__ = ["EXACT", "exact_scale", "thresholds"]

ROUNDING = 2e-7  # relative, of a weight that was a 32-bit float
NEARLY = 1e-4  # relative, of a threshold: the epsilon of a batch norm
MAX_SEEN = 4096  # weights of an edge that are looked at first
MAX_SCALES = 64  # that are looked at with all weights
EXACT = 1e-9  # relative distance at which a scaled threshold is taken as the integer


def exact_scale(
    weights: list[np.ndarray], bits: int, others: np.ndarray, *, minimal: bool
) -> tuple[float, bool]:
    """The largest power of two with which every weight is an integer of ``bits`` bits.

    Where no power does that, the scale with which the largest weight takes all bits. ``minimal``:
    the smallest power with which ``others`` (thresholds, biases) are integers too, if there is one.
    Without leaks the network is then exact. Thresholds stay inside 23 bits in any case. The second
    result tells whether the thresholds suit the scale as they are.
    """
    limit = (1 << (bits - 1)) - 1
    largest = max((float(np.abs(w).max(initial=0.0)) for w in weights), default=0.0) or 1.0
    highest = (1 << 22) / max(float(np.abs(others).max(initial=0.0)), 1e-30)
    most = min(limit / largest, highest)
    # whole weights may take the lowest integer too, which has no opposite
    up = max((float(w.max(initial=0.0)) for w in weights), default=0.0)
    down = max((float(-w.min(initial=0.0)) for w in weights), default=0.0)
    room = min(limit / (up or 1e-30), (limit + 1) / (down or 1e-30), highest)

    def whole(scale: float, arrays: list[np.ndarray]) -> bool:
        return all(bool((a * scale == np.rint(a * scale)).all()) for a in arrays)

    scale = 2.0 ** np.floor(np.log2(room if up or down else most))
    if not whole(scale, weights):  # then no smaller power does either
        found = _multiples(weights, others, limit, most)
        return (most, False) if found is None else (found, True)
    if minimal and whole(scale, [others]):
        while scale > 2.0**-16 and whole(scale / 2, [others, *weights]):
            scale /= 2
    return float(scale), False


def _multiples(
    weights: list[np.ndarray], others: np.ndarray, limit: int, most: float
) -> float | None:
    """A scale with which the weights are integers but for the rounding of their floats, or None.

    Weights of a quantised net, or those divided by the area of a pool, are multiples of one number.
    Of the scales that do it for ``weights``, and nearly for ``others``, it is the least, doubled as
    often as fits: a leak by shifts then loses least.
    """
    few = np.unique(np.abs(np.concatenate([w.ravel()[:MAX_SEEN] for w in weights])))
    few = few[few > 0]
    if not few.size:
        return None
    scales = np.arange(1, limit + 1) / few[-1]
    scales = scales[scales <= most * (1 + EXACT)]
    for value in np.unique(others):
        scales = scales[_near_whole(scales * value, NEARLY)]
    for value in few[:: -(-few.size // 16)]:
        scales = scales[_near_whole(scales * value, ROUNDING)]
    for scale in scales[:MAX_SCALES]:
        if all(_near_whole(w * scale, ROUNDING).all() for w in weights):
            return float(scale * 2.0 ** np.floor(np.log2(most / scale * (1 + EXACT))))
    return None


def _near_whole(values: np.ndarray, within: float) -> np.ndarray:
    return np.abs(values - np.rint(values)) <= within * np.abs(values)


def thresholds(scaled: np.ndarray, *, strict: bool) -> tuple[np.ndarray, np.ndarray]:
    """v_th and v_sub, int64 ``[size]``, of thresholds in units of the weights.

    strict: u > threshold spikes, else u >= threshold.
    """
    whole = np.rint(scaled)
    scaled = np.where(np.abs(scaled - whole) < EXACT * np.abs(scaled), whole, scaled)
    if strict:
        v_th = np.floor(scaled).astype(np.int64) + 1
    else:
        v_th = np.ceil(scaled).astype(np.int64)
    return v_th, round_half_away(scaled)
