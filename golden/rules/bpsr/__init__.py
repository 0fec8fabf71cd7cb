"""BPSR: backpropagation with sparsity regularisation and rewiring (Yan et al. 2022)."""
