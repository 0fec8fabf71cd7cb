"""What the tests of cosim share."""

from spikeloop.cosim.verilator.build import Options

FAST_BUILD = Options(optimise=False)  # of models that run little
