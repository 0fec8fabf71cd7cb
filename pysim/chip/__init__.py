"""What RTL and model share: parameters, memory map, records, fabric and frames."""
