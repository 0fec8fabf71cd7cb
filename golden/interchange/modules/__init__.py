"""Networks as torch modules: forward is traced, so that what runs is what is imported."""
