"""Dendritic neurons in PyTorch: the normative integer arithmetic, and the float net beside it."""
