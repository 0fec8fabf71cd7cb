"""Sounds, their mixtures and their probes as stimuli (docs/dendritic.md, "The sounds").

The spectrograms of the paper come from a toolbox that is not ours to ship. Ours are Gaussian fields
with the same shape and the statistics of the published set. Floats; they never reach the macro.
"""

from dataclasses import dataclass

import numpy as np

from spikeloop.pysim.common.checks import check_int
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.dendrites.settings import MAX_INPUTS, MAX_STIMULI

__all__ = ["CLASSES", "EACH", "SHAPE", "Scene", "check_sounds", "scene", "sounds", "thresholds"]

SHAPE = (41, 33)
"""Bands and frames of a spectrogram."""
CLASSES = ((2.5, 14.0), (10.0, 13.0), (13.0, 9.0), (25.0, 9.0), (60.0, 5.0))
"""Correlation lengths of each class of sounds, in bands and in frames."""
EACH = 10
"""Sounds of a class."""
MEAN, SPREAD, FADE = -54.0, 12.0, 12.0  # dB
SEED = 123
PEAK = 655.36
"""Threshold of intensity 1: a spike in a hundred steps, 10 Hz."""
MAX_DB = 1_000_000  # so that sums of sounds stay finite
COPIED = 8  # a probe shares an eighth of its frames with its sound


def sounds(seed: int = SEED, classes: tuple[tuple[float, float], ...] = CLASSES) -> np.ndarray:
    """Our own sounds in dB: float ``[class, sound, band, frame]``.

    Each is a Gaussian field of mean -54 and spread 12 whose correlation falls as exp(-distance /
    length) in both directions; its first and last frame are 12 dB lower.
    """
    rng = np.random.default_rng(seed)
    made = []
    for lengths in classes:
        bands, frames = (
            np.linalg.cholesky(np.exp(-np.abs(np.subtract.outer(place, place)) / length))
            for place, length in zip(map(np.arange, SHAPE), lengths, strict=True)
        )
        fields = np.stack([bands @ rng.standard_normal(SHAPE) @ frames.T for _ in range(EACH)])
        made.append(MEAN + SPREAD * fields)
    spectrograms = np.stack(made)
    spectrograms[..., [0, -1]] -= FADE
    return spectrograms


def check_sounds(spectrograms: np.ndarray) -> np.ndarray:
    """Sounds as float ``[class, sound, band, frame]``; InputError if they are none."""
    given = np.asarray(spectrograms)
    if given.ndim != 4 or given.dtype.kind not in "iuf" or given.size == 0:
        raise InputError(
            "sounds must be numbers [class, sound, band, frame], not "
            f"{given.dtype} of shape {given.shape}"
        )
    if not np.isfinite(given).all():
        raise InputError("sounds must be finite numbers, not NaN or infinity")
    if (loudest := float(np.abs(given.astype(float)).max())) > MAX_DB:
        raise InputError(f"sounds must be within {MAX_DB:,} dB of 0, not {loudest:g} dB away")
    check_int("sounds of a class", given.shape[1], 2, 10_000)
    check_int("frames of a sound", given.shape[3], COPIED, MAX_INPUTS)
    check_int("bands times frames of a sound", int(np.prod(given.shape[2:])), 8, MAX_INPUTS)
    return given.astype(float)


@dataclass(frozen=True, eq=False)
class Scene:
    """What one net learns and is asked.

    mixtures: intensities 0..1, float ``[mixture, input]``: the target with each masker
    probes:   likewise ``[probe, input]``: the target and all maskers, then an incorrect one of each
    chosen:   numbers of the sounds, the target first
    """

    mixtures: np.ndarray
    probes: np.ndarray
    chosen: tuple[int, ...]

    @property
    def sounds(self) -> int:
        """Sounds that are mixed: one more than mixtures."""
        return len(self.probes) // 2

    def stimuli(self) -> np.ndarray:
        """Thresholds of all mixtures, then of all probes: int64 ``[stimulus, input]``."""
        return thresholds(np.concatenate([self.mixtures, self.probes]))


def scene(spectrograms: np.ndarray, mixtures: int, rng: np.random.Generator) -> Scene:
    """Draws a target, a masker for each mixture, and an incorrect probe for each of these sounds.

    Sounds are drawn without repetition. A mixture is the sum in dB. An incorrect probe is another
    sound of the same class, into which an eighth of the sound's frames, one behind the other, is
    copied. Mixtures are scaled to 0..1 all together, and so are probes.
    InputError if there are too few sounds, or a class has no sound left for a probe.
    """
    given = check_sounds(spectrograms)
    each, frames = given.shape[1], given.shape[3]
    flat = given.reshape(-1, *given.shape[2:])
    most = min(len(flat) - 1, (MAX_STIMULI - 2) // 3)
    check_int(f"mixtures of {len(flat)} sounds", mixtures, 1, most)
    chosen = rng.choice(len(flat), mixtures + 1, replace=False).tolist()
    wrong = []
    for sound in chosen:
        kin = range(sound // each * each, (sound // each + 1) * each)
        if set(kin) <= set(chosen):
            raise InputError(
                f"sounds of a class must leave one for an incorrect probe, not all {each} be mixed"
            )
        while (other := int(rng.integers(each)) + kin[0]) in chosen:
            pass
        probe, copied = flat[other].copy(), frames // COPIED
        first = int(rng.integers(frames - copied))
        probe[:, first : first + copied] = flat[sound][:, first : first + copied]
        wrong.append(probe)
    mixed = np.stack([flat[chosen[0]] + flat[masker] for masker in chosen[1:]])
    return Scene(
        _scaled(mixed), _scaled(np.concatenate([flat[chosen], np.stack(wrong)])), tuple(chosen)
    )


def thresholds(intensities: np.ndarray) -> np.ndarray:
    """Thresholds of intensities 0..1: int64, 655 for the strongest."""
    return np.floor(np.asarray(intensities) * PEAK + 0.5).astype(np.int64)


def _scaled(spectrograms: np.ndarray) -> np.ndarray:
    low, high = spectrograms.min(), spectrograms.max()
    if low == high:
        raise InputError(f"sounds must differ somewhere, not be {low:g} everywhere")
    return ((spectrograms - low) / (high - low)).reshape(len(spectrograms), -1)
