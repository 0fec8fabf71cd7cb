"""The plastic core: one population, and the order in which a tick does its work."""
