"""Mutated inputs for every reader: each is refused in one sentence, or it is accepted and works."""
