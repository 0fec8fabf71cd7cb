"""What a core that learns is given and gives back: population, lesson, file, trace."""
