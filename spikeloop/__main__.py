"""``python -m spikeloop`` is the command line."""

from spikeloop.cosim.cli.app import main

main()
