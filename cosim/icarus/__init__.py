"""The RTL in Icarus Verilog, an independent simulator."""
