"""Windows of waves around a tick, and timing diagrams."""
