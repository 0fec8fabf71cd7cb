"""The model of the chip, exact to the bit and the cycle."""
