"""Mixtures separated by dendritic neurons: engines side by side, scores, the paper's figures."""
