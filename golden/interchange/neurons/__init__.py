"""Neurons of the frameworks as nodes of a graph: what one step of each computes."""
