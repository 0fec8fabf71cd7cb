"""NIR graphs: read and written."""
