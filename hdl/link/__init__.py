"""The host link of a board: frames over a serial line."""
