"""Float networks: neurons, layers, their files."""
