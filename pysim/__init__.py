"""The integer network, the chip's parameters, mapping, image, and a model of the chip that is exact to the bit and the cycle.

Needs numpy alone: neither PyTorch nor Amaranth."""

if __name__ == "pysim":  # a second copy of every module would be loaded beside the first
    raise ImportError("import spikeloop.pysim, not pysim")
