"""BNTT: batch norm with gains of its own in each step (Kim & Panda 2021)."""
