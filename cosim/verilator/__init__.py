"""The RTL compiled by Verilator, driven by a native harness."""
