"""Events of a core: the axon ring, the scanner, and the list of a tick."""
