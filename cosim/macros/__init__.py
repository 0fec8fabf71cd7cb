"""Macros alone, Verilated: each is compared with its model before a chip holds it."""
