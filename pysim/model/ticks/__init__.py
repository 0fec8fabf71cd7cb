"""The ticks of a core: engines in numpy and in numba, and the states and shifts they share."""
