"""A wrapped chip as an IP core: its Verilog, map, driver, image in C, and constraints."""
