"""Networks that other frameworks wrote."""
