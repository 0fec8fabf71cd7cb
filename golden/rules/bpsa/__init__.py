"""BPSA and BPTA: backpropagation through spikes and time (Shen et al. 2022)."""
