"""Modules that train with the chip's own arithmetic: their forward is the integer network."""
