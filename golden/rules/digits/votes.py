"""How a layer of features answers: each neuron votes for the digit that it answered most.

A neuron's label is the digit with the largest mean number of its spikes over labelled training
images. The answer is the label whose neurons spiked most in the mean (Diehl & Cook 2015).
"""

import numpy as np

__all__ = ["answers", "labels_of"]


def labels_of(counts: np.ndarray, digits: np.ndarray, classes: int = 10) -> np.ndarray:
    """Label of each neuron, int64 ``[neuron]``; -1 for one that never spiked.

    counts: spikes ``[image, neuron]``; digits: int ``[image]``.
    """
    means = np.stack(
        [
            counts[digits == c].mean(0) if (digits == c).any() else np.zeros(counts.shape[1])
            for c in range(classes)
        ]
    )
    return np.where(means.any(0), means.argmax(0), -1)


def answers(counts: np.ndarray, labels: np.ndarray, classes: int = 10) -> np.ndarray:
    """Answer to each image, int64 ``[image]``. A label that no neuron has is never given."""
    scores = np.full((len(counts), classes), -1.0)
    for c in range(classes):
        if (labels == c).any():
            scores[:, c] = counts[:, labels == c].mean(1)
    return scores.argmax(1)
