"""Random mutants of the RTL's sources, each put through the regression (``make mutants``)."""
