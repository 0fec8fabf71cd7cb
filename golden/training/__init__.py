"""The training loop that all learning rules share."""
