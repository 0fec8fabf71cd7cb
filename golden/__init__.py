"""PyTorch: neurons, encoders, training, post-training quantisation, and the integer network that is THE reference."""
