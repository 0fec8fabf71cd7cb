"""One crossbar core: accumulators, control, counters, and what wires them and the neuron step."""
