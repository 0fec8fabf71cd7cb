"""Static checks of the generated Verilog, and proofs about the RTL."""
