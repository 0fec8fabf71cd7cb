"""Lessons side by side: engines, their comparison, and iris learnt by ALSA."""
