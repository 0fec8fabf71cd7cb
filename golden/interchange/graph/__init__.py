"""A graph of neurons and linear nodes, from any framework, as floats and as integers."""
