"""The chip in Amaranth, and its Verilog."""

if __name__ == "hdl":  # a second copy of every module would be loaded beside the first
    raise ImportError("import spikeloop.hdl, not hdl")
