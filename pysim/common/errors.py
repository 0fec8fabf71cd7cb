"""The one exception for what a user can mend.

Every message reads "<thing> must be <requirement>, not <value>" and says where and how to mend it.
The command line turns it into one sentence on stderr and exit status 2; a library user catches it.
"""

__all__ = ["InputError"]


class InputError(ValueError):
    """Input that the user can mend: a bad value, file, geometry or environment."""
