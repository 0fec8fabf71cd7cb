"""One comparison of backends on one network."""

from collections.abc import Sequence
from typing import Any

from spikeloop.cosim.backends import check_names, open_backend
from spikeloop.cosim.compare.compare import compare
from spikeloop.cosim.compare.result import Result
from spikeloop.pysim.image.image import Bundle
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus

__all__ = ["verify"]


def verify(
    network: Network,
    bundle: Bundle,
    stimulus: Stimulus,
    names: Sequence[str] = ("golden", "pysim", "verilator"),
    **options: Any,
) -> Result:
    """Run ``stimulus`` through the named backends and compare every spike, membrane and counter with the first; options as of
    :func:`cosim.compare.compare.compare`. ``result.equal`` is the verdict, ``result.failures()`` says why not."""
    check_names(names)
    return compare(
        network,
        stimulus,
        names,
        lambda name: open_backend(name, network, bundle),
        holders=bundle.holders(),
        **options,
    )
