"""Random nets of oscillators, sensible and senseless, with inputs and states in every corner."""
