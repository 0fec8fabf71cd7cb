"""A dendritic neuron behind its lane: soma, statistics, response, traces, inhibition."""
