"""Data sets and the encoders that turn them into spikes."""
