"""Parts of cocotb benches, for ours and for users' own."""
