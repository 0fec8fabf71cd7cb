"""A chip at the end of a wire: real boards and virtual ones."""
