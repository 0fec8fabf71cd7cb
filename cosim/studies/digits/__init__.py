"""MNIST by STDP and ALSA: reals against integers, ratios of scaling functions, a search."""
