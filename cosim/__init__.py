"""Builds, the native harness, backends, comparison, reports and the command line.

``from cosim import NAME`` finds the names of :data:`NAMES` (docs/api.md), each in its module when it is asked for.
"""

from pysim.names import public

NAMES = {
    "Backend": "link",
    "Result": "result",
    "Run": "run",
    "open_backend": "backends",
    "verify": "backends",
}
"""public name: the module that has it"""

__getattr__ = public(__name__, NAMES)
