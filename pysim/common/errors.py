"""The one exception for what a user can mend.

A message reads "<thing> must be <requirement>, not <value>". Where there is no value it reads
"<thing> is missing: do Y" or "<thing> is damaged: do Y". It says where and how to mend the error.
The command line prints the sentence on stderr and ends with exit status 2.
"""

__all__ = ["InputError"]


class InputError(ValueError):
    """Input that the user can mend: a bad value, file, geometry or environment."""
