"""What the harnesses of macros share: fields of wide ports, and the load port with its client."""
