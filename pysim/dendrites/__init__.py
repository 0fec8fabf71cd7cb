"""What a macro of dendritic neurons is given and gives back: net, state, sounds, file, trace."""
