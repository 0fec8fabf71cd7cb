"""The macro of oscillators: two cells, memories, and the order of a step."""
