"""The macro of dendritic neurons: inputs, lanes, memories, and the order of a show."""
