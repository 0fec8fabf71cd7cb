"""The PIM layer: its description, the macro's memories and model, and its cost."""
