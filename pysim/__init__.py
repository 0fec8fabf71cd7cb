"""The integer network, the chip's parameters, mapping, image, and a model that predicts every bit and every cycle; numpy alone.

``from pysim import NAME`` finds the names of :data:`NAMES` (docs/api.md), each in its module when it is asked for.
"""

from pysim.names import public

NAMES = {
    "Chip": "params",
    "Conv": "network",
    "Core": "core",
    "Edge": "network",
    "Input": "network",
    "InputError": "errors",
    "Network": "network",
    "Population": "network",
    "Stimulus": "trace",
    "Trace": "trace",
    "load_bundle": "bundle",
    "map_network": "bundle",
    "preset": "params",
}
"""public name: the module that has it"""

__getattr__ = public(__name__, NAMES)
