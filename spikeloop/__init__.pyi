"""The public names and their modules: read by type checkers, by completion and at import."""

from .cosim.backend import Backend
from .cosim.backends import open_backend
from .cosim.compare.result import Result
from .cosim.flow.verify import verify
from .cosim.lessons.compare import compare_lesson
from .cosim.runs.folder import Run
from .cosim.stimuli.make import stimulus_of
from .golden.data.datasets import load_mnist
from .golden.data.encoders import Encoder
from .golden.interchange.modules.read import import_module, import_snntorch
from .golden.interchange.nir.read import import_nir
from .golden.interchange.nir.write import export_nir
from .golden.interchange.ranc.read import import_ranc
from .golden.nets.layers import FloatNet
from .golden.quantize.quantize import Quantizer
from .golden.reference.integer import predict, run
from .golden.rules.alsa.rule import Alsa
from .golden.rules.stdp.rule import PairRule
from .golden.rules.stdp.scaling import Scaling
from .hdl.verilog import generate, generate_board
from .pysim.bundle.open import load_bundle, map_network
from .pysim.chip.params import Chip, preset
from .pysim.common.errors import InputError
from .pysim.lessons.lesson import Lesson
from .pysim.lessons.population import PlasticPopulation
from .pysim.model.core import Core
from .pysim.network.convolution import Conv
from .pysim.network.elements import Edge, Input, Population
from .pysim.network.graph import Network
from .pysim.network.readout import Readout
from .pysim.traces.stimulus import Stimulus
from .pysim.traces.trace import Trace

__version__: str

__all__ = [
    "Alsa",
    "Backend",
    "Chip",
    "Conv",
    "Core",
    "Edge",
    "Encoder",
    "FloatNet",
    "Input",
    "InputError",
    "Lesson",
    "Network",
    "PairRule",
    "PlasticPopulation",
    "Population",
    "Quantizer",
    "Readout",
    "Result",
    "Run",
    "Scaling",
    "Stimulus",
    "Trace",
    "compare_lesson",
    "export_nir",
    "generate",
    "generate_board",
    "import_module",
    "import_nir",
    "import_ranc",
    "import_snntorch",
    "load_bundle",
    "load_mnist",
    "map_network",
    "open_backend",
    "predict",
    "preset",
    "run",
    "stimulus_of",
    "verify",
]
