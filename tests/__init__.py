"""The checks; the tree mirrors the packages."""
