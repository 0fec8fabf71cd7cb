"""The macro of oscillators: two cells, memories, the order of a step, and its driver in a chip."""
