"""The neuron step: stages of leak, fire, synaptic current and adaptation."""
