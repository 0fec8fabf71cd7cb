"""Wrappers of a chip for SoCs: AXI4-Lite with AXI4-Stream, or Wishbone, and their Verilog."""
