"""The largest values that networks and chips can hold (docs/arithmetic.md)."""

__all__ = [
    "LEAK_TERMS",
    "MAX_DELAY",
    "MAX_GAIN",
    "MAX_PAGES",
    "MAX_REFRACTORY",
    "MAX_START",
    "MAX_WEIGHT_BITS",
]

LEAK_TERMS = 3
"""Shift-add terms of one leak or decay."""
MAX_PAGES = 64
"""Pages of the paged parameters of a population."""
MAX_DELAY = 16
"""Steps of a logical delay, ticks of a physical one."""
MAX_START = 255
"""Start tick of a population."""
MAX_REFRACTORY = 63
"""Steps of silence after a spike."""
MAX_WEIGHT_BITS = 16
"""Width of a weight."""
MAX_GAIN = 15
"""Left shift of a sum on its way into a synaptic current."""
