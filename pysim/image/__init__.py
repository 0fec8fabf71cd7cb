"""The contents of the chip's memories, and their folder and exports."""
