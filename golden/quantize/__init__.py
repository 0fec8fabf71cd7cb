"""Post-training quantisation: float weights to integers, leaks to shifts."""
