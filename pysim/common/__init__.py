"""Errors, checks of values, and files written whole or not at all."""
