"""LoCal+SGD: first layers learn by a local Hebbian rule, the others by SGD (Krithivasan et al.
2022)."""
