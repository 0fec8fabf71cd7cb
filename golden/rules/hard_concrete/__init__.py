"""Hard-concrete gates on synapses (Yin et al. 2021)."""
