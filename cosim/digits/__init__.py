"""MNIST learnt on the plastic core: training, a lesson on all engines, and pictures."""
