"""One crossbar core: accumulators, neuron step, control, memories, load port."""
