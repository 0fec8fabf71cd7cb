"""The PIM macro and the driver that puts it in front of a core."""
