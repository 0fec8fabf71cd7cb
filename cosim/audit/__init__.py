"""Static checks of the generated Verilog."""
