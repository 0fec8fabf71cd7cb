"""The chip in Amaranth, and its Verilog.

``from hdl import NAME`` finds the names of :data:`NAMES` (docs/api.md), each in its module when it is asked for.
"""

from pysim.names import public

NAMES = {
    "generate": "verilog",
    "generate_board": "verilog",
}
"""public name: the module that has it"""

__getattr__ = public(__name__, NAMES)
