"""Backends side by side: chunks, differences, verdict, shrinking."""
