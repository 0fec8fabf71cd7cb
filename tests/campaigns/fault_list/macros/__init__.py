"""Seeded faults of macros: PIM, oscillators, dendritic neurons."""
