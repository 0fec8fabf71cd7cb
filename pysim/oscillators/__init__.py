"""What a macro of oscillators is given and gives back: net, patterns, source, trace."""
