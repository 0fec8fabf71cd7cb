"""Scatter-and-gather conversion of a LeNet (Zou et al. 2021)."""
