"""Cycles, energy and time of a network before it runs."""
