"""Parts that know nothing of neurons: RAM, skid buffer, queue, lane vectors."""
