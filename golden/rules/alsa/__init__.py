"""ALSA: association by a teacher, with a heterosynaptic STDP rule (Mo et al. 2022)."""
