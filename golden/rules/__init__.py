"""Learning rules, one file each.

A rule is a function that turns a training configuration and a data set into a net: as a rule a :class:`golden.nets.layers.FloatNet`, as
:func:`golden.training.train.train` does with plain surrogate gradients; scatter-and-gather has a net of its own, for it converts exactly, and so has
Q-STDB, whose layers are convolutions and whose first layer takes pixels. What belongs to one rule only (regularisers,
gates, rewiring, its surrogate) stands in its file; the training loop, neurons, encoders and quantisation are shared.
"""
