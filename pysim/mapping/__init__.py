"""Where each neuron goes: placement on one core, patches and parts on many, and what fits."""
