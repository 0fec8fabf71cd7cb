"""RANC networks: read."""
