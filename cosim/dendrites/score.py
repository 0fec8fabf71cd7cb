"""How well responses tell correct probes from incorrect ones: the measure of the paper (4.4).

Responses to correct probes span a plane (PCA). A Gaussian for each correct probe is fitted to them
there. The likelihood of a response then says whether the probe was in the mixtures.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["DROPPED", "LEVELS", "OTHER_LEVELS", "Score", "score"]

DROPPED = 50
"""Steps at the beginning of a probe that do not count: the membranes still move."""
LEVELS = (-15.0, -5.0, 0.0)
"""Log-likelihoods between "sure no", "no", "yes" and "sure yes" in the paper's text."""
OTHER_LEVELS = (-20.0, -10.0, 5.0)
"""The same in the authors' code."""
ANSWERS = (0.0, 0.33, 0.66, 1.0)


@dataclass(frozen=True, eq=False)
class Score:
    """Areas under the ROC curve, and what they were computed from.

    auc:       at LEVELS: the paper's measure
    code, raw: at OTHER_LEVELS, and with the likelihoods themselves
    variance:  share of the variance that the plane holds
    correct, incorrect: points in the plane, float ``[probe, point, 2]``
    means, covariances: of the Gaussians, ``[probe, 2]`` and ``[probe, 2, 2]``
    likelihoods: medians of log-likelihoods of correct and of incorrect probes
    """

    auc: float
    code: float
    raw: float
    variance: float
    correct: np.ndarray
    incorrect: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    likelihoods: tuple[float, float]

    def document(self) -> dict[str, Any]:
        """The numbers, for ``--json``."""
        return {
            "auc": self.auc,
            "auc_code_levels": self.code,
            "auc_raw": self.raw,
            "variance": self.variance,
            "likelihoods": self.likelihoods,
        }


def score(responses: np.ndarray) -> Score:
    """The score of mean responses f, float ``[presentation, probe, step, neuron]``.

    The first half of the probes is correct, the second incorrect.
    """
    from sklearn.decomposition import PCA
    from sklearn.metrics import roc_auc_score
    from sklearn.mixture import GaussianMixture

    kept = np.moveaxis(responses[:, :, DROPPED:], 1, 0)
    half, size = len(kept) // 2, kept.shape[-1]
    right, wrong = (part.reshape(-1, size) for part in (kept[:half], kept[half:]))
    plane = PCA(2).fit(right)
    mixed = GaussianMixture(half, random_state=0).fit(plane.transform(right))
    points = [plane.transform(part) for part in (right, wrong)]
    likelihood = [mixed.score_samples(part) for part in points]
    truth = np.repeat([1, 0], [len(right), len(wrong)])
    every = np.concatenate(likelihood)

    def area(levels: tuple[float, ...]) -> float:
        return float(roc_auc_score(truth, np.array(ANSWERS)[np.searchsorted(levels, every)]))

    return Score(
        auc=area(LEVELS),
        code=area(OTHER_LEVELS),
        raw=float(roc_auc_score(truth, every)),
        variance=float(plane.explained_variance_ratio_.sum()),
        correct=points[0].reshape(half, -1, 2),
        incorrect=points[1].reshape(half, -1, 2),
        means=mixed.means_,
        covariances=mixed.covariances_,
        likelihoods=(float(np.median(likelihood[0])), float(np.median(likelihood[1]))),
    )
