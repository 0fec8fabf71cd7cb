"""What goes into a run and what comes out: stimulus, trace, expected spikes."""
