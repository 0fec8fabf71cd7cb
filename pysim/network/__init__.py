"""The integer network: inputs, populations, edges, convolutions, and its file."""
