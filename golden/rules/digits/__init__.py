"""Digits: a layer that learns features of MNIST, its twin in real numbers, its read-outs."""
