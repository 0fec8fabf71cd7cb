"""An imported network with other bits: ``quantize`` and ``widths`` of an import."""

from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.golden.quantize.scales import Requantizer, with_bits
from spikeloop.golden.quantize.widths import narrowest
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.reading import read_file
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.network.readout import Readout
from spikeloop.pysim.traces.stimulus import Stimulus

__all__ = ["is_network", "refuse_float_options", "requantize", "requantizer"]

KEY = b"spikeloop"


def is_network(path: Path) -> bool:
    """Whether ``path`` is a folder with a network, or a network file, and no float net."""
    if path.is_dir():
        return (path / "network.safetensors").is_file()
    try:
        return b'"spikeloop":' in read_file(path, "net", "name one")[: 1 << 16]
    except InputError:  # who reads it says why
        return False


def refuse_float_options(**options: Any) -> None:
    """InputError for options, None where they are not given, that mean nothing to an import."""
    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value is not None]
    if given:
        raise InputError(
            f"net for {' and '.join(given)} must be a float net of spikeloop train, not an "
            "imported network, which keeps its leaks and membranes and is scored on its stimulus"
        )


def requantizer(source: Path) -> Requantizer:
    """The network of ``source`` with its labelled stimulus, which lies beside it."""
    network, folder = _network(source)
    file = folder / "stimulus.npz"
    if not file.is_file():
        raise InputError(
            f"stimulus.npz is missing in {str(folder)!r}: run spikeloop stimulus first"
        )
    stimulus = Stimulus.load(file)
    stimulus.check(network)
    if stimulus.labels is None:
        raise InputError(
            f"labels of {str(file)!r} are missing: spikeloop stimulus ... --labels FILE"
        )
    Readout.of(network).check_labels(stimulus.labels)
    return Requantizer(network, stimulus.dense(network), stimulus.labels)


def requantize(
    source: Path, target: Path, *, bits: int, target_drop: float | None
) -> dict[str, Any]:
    """Round the network of ``source`` to ``bits``, save it, and say what that did (JSON).

    target_drop: points of accuracy on the labelled stimulus; each layer then gets the narrowest
                 weights, of at most ``bits``, that lose no more.
    """
    fine, _ = _network(source)
    widths: dict[str, int] | int = bits
    scores: dict[str, float] = {}
    if target_drop is not None:
        rounding = requantizer(source)
        chosen = narrowest(rounding, target_drop, most=bits)
        widths = dict(zip(rounding.names, chosen, strict=True))
        scores["float"] = rounding.float_accuracy
    network = with_bits(fine, widths)
    network.save(target)
    rows = []
    for p in network.populations:
        into = [e.weights for e in network.edges if e.target == p.name]
        rows.append(
            {
                "name": p.name,
                "bits": p.weight_bits,
                "weights": sum(w.size for w in into),
                "zeroed": int(sum(np.count_nonzero(w == 0) for w in into)),
            }
        )
    return {"network": str(target), "layers": rows, **scores}


def _network(source: Path) -> tuple[Network, Path]:
    """The network, and the folder in which its stimulus lies."""
    if source.is_dir():
        return Network.load(source / "network.safetensors"), source
    return Network.load(source), source.resolve().parent
