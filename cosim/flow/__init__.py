"""The walk from training to verdict, its stages kept by content."""
