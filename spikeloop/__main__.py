"""``python -m spikeloop`` is the command line."""

from spikeloop.cosim.cli import main

main()
