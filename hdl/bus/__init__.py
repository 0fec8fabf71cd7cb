"""The load port, and the memories of a core behind it."""
