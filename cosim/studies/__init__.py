"""Measurements: speed, accuracy tables, pictures."""
