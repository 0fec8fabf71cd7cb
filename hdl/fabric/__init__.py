"""Routers, and the mesh they make."""
