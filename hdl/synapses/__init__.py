"""Synapses that change: their memories, the keyed hash, the plasticity unit, normalisation."""
