"""Q-STDB: few-bit spiking nets of multi-bit pixels, behind a PIM layer or on the chip alone (Datta
et al. 2022)."""
