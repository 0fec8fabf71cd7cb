"""PyTorch: neurons, encoders, training, post-training quantisation, and the integer network that is THE reference.

``from golden import NAME`` finds the names of :data:`NAMES` (docs/api.md), each in its module when it is asked for.
"""

from importlib import import_module
from typing import Any

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


def __getattr__(name: str) -> Any:
    if name not in NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{NAMES[name]}"), name)
