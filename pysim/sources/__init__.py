"""Nets that make the spikes of an input, as macros of a chip: what a host does, and their model."""
