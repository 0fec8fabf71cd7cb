"""The macro of dendritic neurons, Verilated: its harness and what Python knows of it."""
