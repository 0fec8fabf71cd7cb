"""The bench of the neuron step alone: its forms and its cases."""
