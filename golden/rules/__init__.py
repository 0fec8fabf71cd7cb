"""Learning rules, one file each.

A rule is a function that turns a training configuration and a data set into a :class:`golden.layers.FloatNet`, as
:func:`golden.train.train` does with plain surrogate gradients. What belongs to one rule only (regularisers, gates, rewiring, its
surrogate) stands in its file; neurons, encoders and quantisation are shared.
"""
