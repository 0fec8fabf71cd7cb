"""Cores, use, cycles, energy and time of a network before it runs."""
