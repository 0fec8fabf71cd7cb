"""Builds, backends, comparison, runs, reports and the command line."""

if __name__ == "cosim":  # a second copy of every module would be loaded beside the first
    raise ImportError("import spikeloop.cosim, not cosim")
