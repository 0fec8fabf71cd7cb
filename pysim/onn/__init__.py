"""The model of the macro of oscillators: parameters, memories, two engines, cycles."""
