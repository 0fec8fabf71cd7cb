"""Pair-based STDP with weight dependence (Chakraborty & Mukhopadhyay 2021; Diehl & Cook 2015)."""
