"""One crossbar core: accumulators, neuron step, control, counters, and what wires them."""
