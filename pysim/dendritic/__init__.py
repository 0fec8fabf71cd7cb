"""The model of the macro of dendritic neurons: parameters, memories, two engines, cycles."""
