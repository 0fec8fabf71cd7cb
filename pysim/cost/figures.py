"""Cores, use and latency of a network on a chip: the figures of fit, map, cost and the report.

:func:`figures` reads them off a packed network. :func:`predict` gives the same figures from the
network and the chip alone: it cuts and places, and packs nothing.
"""

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from spikeloop.pysim.bundle.split import split, spread
from spikeloop.pysim.chip.params import Chip, clock_of
from spikeloop.pysim.cost.cycles import at_most
from spikeloop.pysim.image.image import Bundle
from spikeloop.pysim.mapping.partition import partition
from spikeloop.pysim.mapping.place import check_cut, fits, place, with_macro
from spikeloop.pysim.mapping.placement import Placement, Use
from spikeloop.pysim.network.graph import Network

__all__ = ["Figures", "figures", "predict"]


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Cores, use and latency of a network on ``chip``.

    cores_of: cores (parts that take turns) of each population; one that holds several counts in
        the first.
    reason: why one core does not hold the network, None if it does.
    use: of all cores together.
    cycles: most cycles of a sample, with every axon visited and every spike; of parts the sum,
        loading apart. None on a mesh of several cores, where they depend on the traffic. The
        cycles of a PIM layer or of oscillators are not among them.
    clock: Hz of the chip's preset.
    """

    chip: Chip
    cores_of: dict[str, int]
    reason: str | None
    use: Use
    cycles: int | None
    clock: int

    @property
    def cores(self) -> int:
        return sum(self.cores_of.values())

    @property
    def latency_ms(self) -> float | None:
        """Milliseconds of ``cycles`` at ``clock``."""
        return None if self.cycles is None else self.cycles / self.clock * 1e3

    def to_dict(self) -> dict[str, Any]:
        """JSON form, without the chip."""
        return {
            "cores": self.cores,
            "cores_of": self.cores_of,
            "reason": self.reason,
            "use": asdict(self.use) | {"share": self.use.share},
            "cycles": self.cycles,
            "clock_hz": self.clock,
            "latency_ms": self.latency_ms,
        }

    def text(self) -> dict[str, str]:
        """Three lines for people: cores, use, latency."""
        use = self.use
        return {
            "cores": self._cores_text(),
            "use": f"{use.share:.1%} of the crossbar: {use.axons:,} of {use.axons_of:,} axons, "
            f"{use.columns:,} of {use.columns_of:,} columns",
            "latency": self._latency_text(),
        }

    def _cores_text(self) -> str:
        because = f", because {self.reason}" if self.reason else ""
        if self.chip.derived.cores > 1:
            return f"{self.cores:,} of {self.chip.derived.cores:,} on the mesh{because}"
        return f"{self.cores:,} parts, which take turns{because}" if self.reason else "1"

    def _latency_text(self) -> str:
        if self.cycles is None:
            return "depends on the spikes between the cores"
        loading = ", loading apart" if self.cores > 1 else ""
        return (
            f"at most {self.latency_ms:.4f} ms a sample: {self.cycles:,} cycles "
            f"at {self.clock / 1e6:g} MHz{loading}"
        )


def figures(bundle: Bundle) -> Figures:
    """The figures of a packed network: an image, a program or a mesh."""
    placements = [image.placement for image in bundle.images.values()]
    return _figures(bundle.chip, placements, bundle.steps, bundle.reason)


def predict(network: Network, chip: Chip) -> Figures:
    """The figures that ``network`` will have when it is mapped for ``chip``.

    InputError names what does not fit, as mapping does; of a mesh the rows of the route chains are
    not counted.
    """
    chip = with_macro(network, chip)
    if chip.derived.cores > 1:
        shares, reason = spread(network, chip)
        placements = [place(split(network, share)[0], chip) for share in shares]
        return _figures(chip, placements, network.steps, reason)
    placement = fits(network, chip)
    if isinstance(placement, Placement):
        return _figures(chip, [placement], network.steps, None)
    check_cut(network, placement)
    parts = [place(part.network, chip) for part in partition(network, chip)]
    return _figures(chip, parts, network.steps, placement.sentence)


def _figures(chip: Chip, placements: list[Placement], steps: int, reason: str | None) -> Figures:
    cycles = None
    if chip.derived.cores == 1:
        cycles = sum(int(at_most(placement, steps).total.sum()) for placement in placements)
    return Figures(
        chip=chip,
        cores_of=dict(Counter(placement.populations[0].name for placement in placements)),
        reason=reason,
        use=Use.total(placement.use for placement in placements),
        cycles=cycles,
        clock=clock_of(chip),
    )
