"""Networks from elsewhere to a folder that ``spikeloop compare`` runs.

The folder holds network and image, and the stimulus and expected spikes that the import knows.
Everything is computed before the first file is written.
"""

import math
import runpy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.golden.interchange.common import Imported
from spikeloop.pysim.bundle.open import map_network
from spikeloop.pysim.chip.params import MAX_EXTENSION, PRESETS, preset
from spikeloop.pysim.common.bits import pack, unpack
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.mapping.partition import groups
from spikeloop.pysim.mapping.placement import word_of
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.expected import Expected
from spikeloop.pysim.traces.stimulus import Stimulus

__all__ = [
    "chip_for",
    "grey_of",
    "import_torch",
    "module_of",
    "pair",
    "sizes",
    "write_import",
    "write_stimulus",
]

MOST_WORDS = 64
"""Words of a core that populations are cut to fit."""


def chip_for(network: Network, axons: int) -> str:
    """A chip, as a preset with changes, whose cores have ``axons`` axons and hold the populations.

    Populations that feed each other are held by one core. The chip has the states of the neurons.
    """
    chip = PRESETS["default"]
    words, extension = 1, 1
    for group in groups(network):
        members = [network.population(name) for name in group]
        arriving = {
            (e.source, e.delay + network.start_of(e.target))
            for e in network.edges
            if e.target in group and e.source not in group
        }
        lines = sum(network.size_of(source) for source, _ in arriving)
        together = len(group) > 1 or any(e.source == e.target == group[0] for e in network.edges)
        lines += sum(p.size for p in members) if together else 0
        passes = 1 << (-(-lines // axons) - 1).bit_length() if lines > axons else 1
        need = passes * sum(-(-p.size // (chip.lanes // word_of(p, chip).join)) for p in members)
        words = max(words, need if together else min(need, max(MOST_WORDS, passes)))
        extension = max(extension, passes)
    wide = f"axons={axons},columns={64 * words},extension={min(extension, MAX_EXTENSION)}"
    return _with_states(f"default,{wide}", network)


def _with_states(chip: str, network: Network) -> str:
    """The chip with the states of the network's neurons, those that it names itself apart."""
    for name in ("current_bits", "adaptation_bits"):
        bits = getattr(network, name)
        if bits and name not in chip:
            chip += f",{name}={bits}"
    return chip


def write_import(
    net: Imported, chip: str, folder: Path, stimulus: Stimulus | None = None
) -> dict[str, Any]:
    """Map the network and write it, its image and, if known, stimulus.npz and expected.npz.

    chip:     gets the states of the neurons that it does not name (``current_bits=0`` names one).
    stimulus: the user's own, for a source that has none.

    Returns what was written (JSON). InputError, with nothing written, if ``chip`` (a preset with
    changes) does not hold the network.
    """
    network = net.network
    chip = _with_states(chip, network)
    image = map_network(network, preset(chip))
    expected = None
    if net.inputs is not None:
        stimulus = Stimulus.pack(net.inputs)
        stimulus.check(network)
    if net.expected is not None:
        expected = Expected({network.output: pack(net.expected)}, net.first)
    image.save(folder)
    files = {"image": str(folder), "network": str(network.save(folder / "network.safetensors"))}
    if net.floats is not None:
        from spikeloop.golden.interchange import floats

        files["floats"] = str(floats.save(folder / floats.FILE, net.floats, network))
    if stimulus:
        files["stimulus"] = str(stimulus.save(folder / "stimulus.npz"))
    if expected:
        files["expected"] = str(expected.save(folder / "expected.npz"))
    inputs = {node.name: node.size for node in network.inputs}
    populations = {p.name: p.size for p in network.populations}
    return {
        **files,
        "chip": chip,
        "cores": len(image.images),
        "steps": network.steps,
        "sizes": inputs | populations,
        "drift": None if net.drift is None else asdict(net.drift),
        "assumed": [{"what": a.what, "value": a.value, "why": a.why} for a in net.assumed],
    }


def pair(text: str | None, between: str, option: str) -> tuple[int, int] | None:
    """ "4x3" or "0,2" to two numbers."""
    if text is None:
        return None
    parts = text.lower().split(between)
    if len(parts) != 2 or not all(part.strip().isdecimal() and len(part) < 6 for part in parts):
        raise InputError(f"{option} must be two numbers such as 3{between}2, not {text!r}")
    return int(parts[0]), int(parts[1])


def module_of(source: str) -> Any:
    """ "net.py:name" to the torch module of that name in the file.

    The file is run; a function of that name is called. InputError if that gives no module.
    """
    from torch.nn import Module

    file, _, name = source.rpartition(":")
    if not file.endswith(".py") or not name.isidentifier():
        raise InputError(f"net must be named as FILE.py:NAME, not {source!r}")
    if not Path(file).is_file():
        raise InputError(f"Python file {file!r} of the net is missing: name another")
    try:
        with _beside(Path(file)):
            net = runpy.run_path(file).get(name)
        if callable(net) and not isinstance(net, Module):
            net = net()
    except Exception as error:
        raise InputError(
            f"Python file {file!r} must run and make the net, not end with {type(error).__name__}: "
            + " ".join(str(error).split())[:160]
        ) from None
    if not isinstance(net, Module):
        raise InputError(
            f"{name} in {file!r} must be a torch module or a function that makes one, "
            f"not {type(net).__name__}"
        )
    return net.eval()


def grey_of(bits: int | None, values: str) -> Any:
    """--grey 4 --range 0,1 as a Grey; None without --grey."""
    from spikeloop.golden.interchange.modules.grey import Grey

    parts = values.split(",")
    try:
        low, high = (float(part) for part in parts)
    except ValueError:
        raise InputError(f"--range must be two numbers such as 0,1, not {values!r}") from None
    return None if bits is None else Grey(bits, low, high)


def write_stimulus(
    source: Path,
    files: list[Path],
    target: Path,
    *,
    width: float | None,
    labels: Path | None,
    samples: int | None,
) -> dict[str, Any]:
    """A stimulus of the network of ``source``, a folder or a network file, out of ``files``."""
    from spikeloop.cosim.stimuli.make import from_files

    path = source / "network.safetensors" if source.is_dir() else source
    network = Network.load(path)
    made = from_files(network, files, width=width, labels=labels, samples=samples)
    stimulus = made.stimulus
    packed = stimulus.spikes[network.inputs[0].name]
    spikes = int(unpack(packed, network.inputs[0].size).sum(dtype=np.int64))
    return {
        "written": str(stimulus.save(target)),
        "samples": stimulus.samples,
        "steps": network.steps,
        "lines": network.inputs[0].size,
        "spikes": spikes,
        "labels": "none" if stimulus.labels is None else len(np.unique(stimulus.labels)),
        **{f"note {i + 1}": text for i, text in enumerate(made.said)},
    }


def _given(data: Path, size: int, grey: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """Spikes [sample, step, ...] of a stimulus or array file, or grey values; labels if any."""
    if grey or data.suffix == ".npy":
        from spikeloop.cosim.stimuli.dense import read_arrays

        return read_arrays(data)
    stimulus = Stimulus.load(data)
    if len(stimulus.spikes) != 1:
        raise InputError(
            f"inputs of stimulus {str(data)!r} must be one, not {len(stimulus.spikes)}"
        )
    (packed,) = stimulus.spikes.values()
    if packed.shape[-1] != -(-size // 8):
        raise InputError(f"lines of stimulus {str(data)!r} must be {size}, as the net has")
    return unpack(packed, size), stimulus.labels


@contextmanager
def _beside(file: Path) -> Iterator[None]:
    """The folder of ``file`` first on the path of imports, as when Python runs it."""
    before = list(sys.path)
    sys.path.insert(0, str(file.resolve().parent))
    try:
        yield
    finally:
        sys.path[:] = before


def import_torch(
    source: str,
    shape: tuple[int, ...] | None,
    *,
    steps: int,
    bits: int,
    data: Path | None,
    labels: Path | None = None,
    check: int | None = None,
    grey: Any = None,
    groups: int | None = None,
) -> tuple[Imported, Stimulus | None]:
    """The torch module "FILE.py:NAME" as a network, and ``data`` as its stimulus.

    The network is compared with the module's own forward.

    shape:  of one input (default: of a Linear layer that comes first).
    data:   array of spikes or grey values, or stimulus file with one input, on which to compare
            (default: random ones).
    labels: file of one whole number a sample of ``data`` (default: those in the data file).
    check:  compare on the first so many samples (default: all).
    grey:   golden.interchange.modules.grey.Grey, or None for spikes.
    groups: classes of a population code; None: each output neuron is a class.
    """
    from spikeloop.cosim.stimuli.dense import read_arrays
    from spikeloop.cosim.stimuli.make import stimulus_of
    from spikeloop.golden.interchange.modules.read import first_shape, import_module

    if data is None and (labels is not None or check is not None):
        raise InputError("stimulus for --labels or --check is missing: add --data")
    net = module_of(source)
    shape = shape or first_shape(net)
    given = marks = None
    if data is not None:
        given, marks = _given(data, math.prod(shape), grey is not None)
        given = given if grey is None else grey.real(given)  # all of it: pixels, or none are
    if labels is not None:
        marks, _ = read_arrays(labels)
    name = Path(source.rpartition(":")[0]).stem
    first = None if given is None else given[:check]
    imported = import_module(
        net, shape, steps=steps, bits=bits, name=name, data=first, grey=grey, groups=groups
    )
    if given is None:
        return imported, None
    return imported, stimulus_of(imported.network, [given if marks is None else (given, marks)])


def sizes(text: str | None) -> tuple[int, ...] | None:
    """ "1,28,28" to (1, 28, 28)."""
    if text is None:
        return None
    parts = text.split(",")
    numbers = [int(part) if part.strip().isdecimal() and len(part) < 10 else 0 for part in parts]
    if len(parts) > 3 or not all(0 < number <= 1 << 20 for number in numbers):
        raise InputError(f"--shape must be one to three sizes such as 1,28,28, not {text!r}")
    return tuple(numbers)
