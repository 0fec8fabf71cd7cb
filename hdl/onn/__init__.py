"""The macro of oscillators: its two cells, its memories, and the order of a step."""
