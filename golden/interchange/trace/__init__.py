"""What a torch module's forward does, recorded, and taken apart into steps."""
