"""Recall by oscillators: engines side by side, the figures of the paper, and pictures."""
