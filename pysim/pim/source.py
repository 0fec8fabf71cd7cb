"""A PIM layer as the source of current of a population: its place in a network and in its file.

    I = S + C + bias

C of neuron i is current number ``currents[i]`` of the layer (docs/arithmetic.md, docs/pim.md).

An image of pixels stands still for the whole sample. Either its currents are computed once, before
step 0 and with stream 0 of the noise, and held for all steps. Or they are computed again before
every step k, with stream k. There is no arithmetic on data here.
"""

from dataclasses import asdict, dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from spikeloop.pysim.common.checks import check_array, from_exactly
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.pim.layer import PimLayer, PimParams
from spikeloop.pysim.pim.window import PimWindow

__all__ = ["PimHead", "PimSource"]

TENSORS = {
    "weights": np.int8,
    "bias": np.int64,
    "gain": np.int16,
    "offset": np.int16,
    "stuck0": np.bool_,
    "stuck1": np.bool_,
    "keep": np.int16,
}


@dataclass(frozen=True, kw_only=True)
class PimHead:
    """A source without its arrays: what the network file and the manifest of an image say of it.

    name:    of the pixels in the stimulus
    target:  the population that takes the currents
    held:    whether currents are computed once per sample

    The other fields are the layer's (pysim.pim.layer.PimLayer).
    """

    name: str
    target: str
    held: bool
    params: PimParams
    window: PimWindow
    channels: int
    shift: int
    limit: int
    sigma: int
    seed: int

    @property
    def pixels(self) -> int:
        """Pixels of an image."""
        return prod(self.window.source)

    @property
    def pixel_max(self) -> int:
        """Largest pixel."""
        return (1 << self.params.pixel_bits) - 1

    @property
    def currents(self) -> int:
        """Currents of an image: one for each channel and position."""
        return self.channels * self.window.positions

    def frames(self, steps: int) -> int:
        """How often currents are computed in a sample of ``steps``."""
        return 1 if self.held else steps

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any], what: str) -> "PimHead":
        """Inverse of :meth:`to_dict`; InputError unless it is one. ``what`` names its file."""
        window = values["window"]
        if not all(isinstance(n, int) for value in window.values() for n in value):
            raise InputError(f"window of the PIM layer in {what} must be whole numbers, not others")
        return from_exactly(
            cls,
            {
                **values,
                "params": PimParams.from_dict(values["params"]),
                "window": PimWindow(**{key: tuple(value) for key, value in window.items()}),
            },
            f"PIM layer of {what}",
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class PimSource:
    """A layer and where its currents go.

    name, target, held:  as of PimHead
    currents:            int64 ``[target size]``: number channel * positions + position of the
                         current that each neuron takes; no two neurons take the same
    """

    name: str
    target: str
    layer: PimLayer
    currents: np.ndarray
    held: bool = True

    @classmethod
    def make(cls, name: str, target: str, layer: PimLayer, *, held: bool = True) -> "PimSource":
        """A source whose target has one neuron for each of the layer's currents, in their order."""
        return cls(
            name=name,
            target=target,
            layer=layer,
            held=held,
            currents=np.arange(layer.channels * layer.window.positions),
        )

    @cached_property
    def head(self) -> PimHead:
        layer = self.layer
        return PimHead(
            name=self.name,
            target=self.target,
            held=self.held,
            params=layer.params,
            window=layer.window,
            channels=layer.channels,
            shift=layer.shift,
            limit=layer.limit,
            sigma=layer.sigma,
            seed=layer.seed,
        )

    def check(self, size: int) -> None:
        """InputError unless a target of ``size`` neurons can take the currents."""
        what, most = f"currents of PIM layer {self.name!r}", self.head.currents
        if not isinstance(self.held, bool):
            raise InputError(
                f"held of PIM layer {self.name!r} must be true or false, not {self.held!r}"
            )
        if self.currents.dtype != np.int64 or self.currents.shape != (size,):
            raise InputError(
                f"{what} must be {size} int64 numbers, one for each neuron of {self.target!r}, "
                f"not {self.currents.dtype} of shape {self.currents.shape} "
                f"({self.layer.channels} channels of {self.layer.window.positions} positions)"
            )
        if (
            self.currents.min() < 0
            or self.currents.max() >= most
            or np.unique(self.currents).size < size
        ):
            raise InputError(f"{what} must be different numbers in 0..{most - 1}, not others")

    # -- file ----------------------------------------------------------------------------------

    def tensors(self) -> dict[str, np.ndarray]:
        """The arrays, by their names in the file; the rest is the head's."""
        return {
            **{
                f"pim.{key}": np.ascontiguousarray(getattr(self.layer, key).astype(dtype))
                for key, dtype in TENSORS.items()
            },
            "pim.currents": np.ascontiguousarray(self.currents),
        }

    @classmethod
    def from_file(cls, head: PimHead, tensors: dict[str, np.ndarray], what: str) -> "PimSource":
        """The source of ``head`` and of its arrays, which are taken out of ``tensors``.

        ``what`` names the file in errors.
        """
        arrays = {key: tensors.pop(f"pim.{key}") for key in TENSORS}
        for key, dtype in TENSORS.items():
            check_array(f"pim.{key} in {what}", arrays[key], dtype)
        weights = arrays["weights"]
        tables = {key: array for key, array in arrays.items() if key != "weights"}
        if len(weights) != head.channels:
            raise InputError(
                f"channels of the PIM layer in {what} must be those of its weights, "
                f"{len(weights)}, not {head.channels}"
            )
        layer = PimLayer.make(
            head.params,
            head.window,
            weights,
            shift=head.shift,
            limit=head.limit,
            sigma=head.sigma,
            seed=head.seed,
            **tables,
        )
        return cls(
            name=head.name,
            target=head.target,
            layer=layer,
            held=head.held,
            currents=tensors.pop("pim.currents"),
        )
