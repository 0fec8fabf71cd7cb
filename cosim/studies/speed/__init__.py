"""Ticks per second of each way to run the same work."""
