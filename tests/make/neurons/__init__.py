"""Random neurons: their parameters, and those of their second states."""
