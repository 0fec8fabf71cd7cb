"""Random cases of dendritic neurons, and the corners that they reach."""
