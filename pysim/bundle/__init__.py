"""Images of many cores: programs whose parts take turns, and meshes."""
