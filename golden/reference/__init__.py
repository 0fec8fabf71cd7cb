"""The normative integer arithmetic in PyTorch; everything else is compared with it."""
