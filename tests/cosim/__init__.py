"""What the tests of cosim share."""

from cosim.verilate import Options

FAST_BUILD = Options(optimise=False)  # of models that run little
