"""PyTorch: neurons, encoders, training, post-training quantisation, and the integer network that is THE reference.

``from golden import NAME`` finds the names of :data:`NAMES` (docs/api.md), each in its module when it is asked for.
"""

from pysim.network import public

NAMES = {
    "Encoder": "encoders",
    "FloatNet": "layers",
    "Quantizer": "quantize",
    "export_nir": "nir_export",
    "import_nir": "nir",
    "import_ranc": "ranc",
    "import_snntorch": "snntorch",
    "load_mnist": "datasets",
    "predict": "integer",
    "run": "integer",
}
"""public name: the module that has it"""

__getattr__ = public(__name__, NAMES)
