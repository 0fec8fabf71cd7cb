"""Accuracy against the parameters of the PIM macro."""
