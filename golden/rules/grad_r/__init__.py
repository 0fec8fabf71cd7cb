"""Grad R and Deep R: synapses pruned and grown while the net learns (Chen et al. 2021)."""
