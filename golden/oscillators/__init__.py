"""Oscillators in PyTorch: the normative integer arithmetic, and the float circuit beside it."""
