"""Learning rules, one folder each: ``net`` is the net and its conversion, ``train`` trains it.

A rule turns a training configuration and a data set into a net. Most rules make a
:class:`golden.nets.layers.LayeredNet`, as :func:`golden.training.train.train` does with plain
surrogate gradients. Some rules have a net of their own that converts exactly. What belongs to one
rule only (regularisers, gates, rewiring, a surrogate) stands in its folder. The training loop, the
neurons, encoders and quantisation are shared.
"""
