"""The integer network, the chip's parameters, mapping and images, and the chip's model.

Needs numpy alone: neither PyTorch nor Amaranth."""

if __name__ == "pysim":  # a second copy of every module would be loaded beside the first
    raise ImportError("import spikeloop.pysim, not pysim")
