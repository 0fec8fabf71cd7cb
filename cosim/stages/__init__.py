"""The stages of the walk, each a module of its own, and the keys that keep their files."""
