"""PyTorch: nets, data, training, quantisation, import, and the integer reference."""

if __name__ == "golden":  # a second copy of every module would be loaded beside the first
    raise ImportError("import spikeloop.golden, not golden")
