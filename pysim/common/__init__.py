"""Errors, checks of values, files written whole or not at all, and journals."""
