"""What a chip can do for a network at all, and the reason why one core does not hold it.

A feature that the hardware lacks is an InputError: no number of cores mends it.
A lack of room on one core is a :class:`Reason`: the network is then cut (docs/mapping.md).
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.mapping.placement import word_of
from spikeloop.pysim.network.elements import LeakRounding, LowBound, Population
from spikeloop.pysim.network.graph import Network

__all__ = ["Reason", "check_delays", "check_features"]

DECAYS = {"leak": "rounding", "current": "current_rounding", "adaptation": "adaptation_rounding"}
"""decays of a neuron's states, and the parameters that say how their shifts round"""


@dataclass(frozen=True)
class Reason:
    """Why one core does not hold a network or a layer.

    ``sentence`` names the resource, how much of it there is and how much is needed.
    """

    sentence: str


def check_features(network: Network, chip: Chip) -> None:
    """InputError unless the hardware of ``chip`` can compute every neuron of ``network``.

    Checks the widths of the states, pages and their shift, leak terms, refractory counter,
    rounding, lower bound, the width of a weight, and that no two edges share source, target and
    delay.
    """
    if network.membrane_bits != chip.membrane_bits:
        raise InputError(
            f"membrane_bits of network {network.name!r} must be {chip.membrane_bits} "
            f"on this chip, not {network.membrane_bits}"
        )
    for name in ("current_bits", "adaptation_bits"):
        bits, has = getattr(network, name), getattr(chip, name)
        if bits not in (0, has):
            raise InputError(
                f"{name} of network {network.name!r} must be "
                + (f"{has} on this chip" if has else "0 on this chip (it was built without)")
                + f", not {bits}: choose a chip with {name}={bits}"
            )
    for p in network.populations:
        _check_sizes(p, chip)
        _check_options(p, chip)
    _check_parallel(network)


def check_delays(delays: dict[str, int | None], chip: Chip) -> None:
    """InputError if a population's physical delay to its own core is longer than the ring allows.

    ``delays``: ticks of each population, None for one without targets on the core.
    """
    for name, delay in delays.items():
        if delay is not None and delay > chip.delay_max:
            raise InputError(
                f"physical delay of the edges from population {name!r} must be at most "
                f"{chip.delay_max} on this chip (delay_max), not {delay}"
            )


def _check_sizes(p: Population, chip: Chip) -> None:
    """What has a number: pages, page shift, leak terms, refractory steps, columns of a weight."""
    where = f"of population {p.name!r}"
    if p.pages > chip.pages:
        raise InputError(f"pages {where} must be at most {chip.pages} on this chip, not {p.pages}")
    if p.page_shift > chip.page_shift:
        raise InputError(
            f"page_shift {where} must be at most {chip.page_shift} on this chip, not "
            f"{p.page_shift}: choose a chip with page_shift={p.page_shift}"
        )
    for leak in DECAYS:
        terms = int((getattr(p, f"{leak}_sign") != 0).sum(axis=1).max())
        if terms > chip.leak_terms:
            raise InputError(
                f"{leak} terms {where} must be at most {chip.leak_terms} on this chip, not {terms}"
            )
    refractory = int(p.refractory.max())
    if refractory.bit_length() > chip.refractory_bits:
        raise InputError(
            f"refractory {where} must be at most {(1 << chip.refractory_bits) - 1} on this chip "
            f"({chip.refractory_bits} refractory_bits), not {refractory}"
        )
    lanes = min(chip.lanes, chip.derived.digits)
    if word_of(p, chip).join > lanes:
        raise InputError(
            f"weight_bits {where} must be at most {lanes * chip.digit_bits} (one word of {lanes} "
            f"lanes of {chip.digit_bits} bits) on this chip, not {p.weight_bits}"
        )


def _check_options(p: Population, chip: Chip) -> None:
    """What a chip may have been built without: roundings and the lower bound."""
    where = f"of population {p.name!r}"
    for leak, key in DECAYS.items():
        leaks, rounding = (getattr(p, f"{leak}_sign") != 0).any(axis=(0, 1)), getattr(p, key)
        rounded = rounding[(rounding != LeakRounding.FLOOR) & leaks]
        if rounded.size and not chip.roundings:
            raise InputError(
                f"{key} {where} must be floor on this chip (it was built without roundings), "
                f"not {LeakRounding(int(rounded[0])).name.lower()}"
            )
    if not chip.bounded and np.any(p.low != LowBound.NONE):
        raise InputError(
            f"lower bound {where} must be none on this chip (it was built without bounded), "
            f"not {LowBound(int(p.low.max())).name.lower()}"
        )


def _check_parallel(network: Network) -> None:
    """An axon has one weight per neuron."""
    edges = Counter((e.source, e.target, e.delay) for e in network.edges)
    for (source, target, delay), count in edges.items():
        if count > 1:
            raise InputError(
                f"edges {source}->{target} of delay {delay} must be one (an axon has one weight "
                f"per neuron), not {count}: add their weights"
            )
