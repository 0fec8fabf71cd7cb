"""One crossbar core: axon ring, scanner, accumulators, neuron step, control, load port."""
