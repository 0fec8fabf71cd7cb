"""The model of the plastic core: its parameters and memories, two engines, and its cycles."""
