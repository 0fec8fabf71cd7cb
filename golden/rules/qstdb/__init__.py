"""Q-STDB: few-bit spiking nets behind a PIM layer (Datta et al. 2022)."""
