"""What a packed network's manifest says of the network it was packed from."""

import json
from dataclasses import dataclass, fields
from typing import Any

from spikeloop.pysim.common.checks import check_int
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.dendrites.source import DendriticHead
from spikeloop.pysim.network.elements import Input
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.oscillators.source import OnnHead
from spikeloop.pysim.pim.source import PimHead

__all__ = ["NetworkSummary"]

READOUTS = ("spikes", "membrane")
STATE_BITS = {"current_bits": 32, "adaptation_bits": 31}
"""the widest states"""
OPTIONAL = ("pim", "onn", "dendritic", *STATE_BITS)
"""in a manifest only where the network has them"""
HEADS: dict[str, Any] = {"pim": PimHead, "onn": OnnHead, "dendritic": DendriticHead}


@dataclass(frozen=True, kw_only=True)
class NetworkSummary:
    """The facts of a network that a host needs, without its parameters.

    name:           name of the network
    sha256:         SHA-256 of its file, 64 hexadecimal digits
    steps:          steps of a sample, 1..65536
    membrane_bits:  width of a membrane, 8..32
    current_bits, adaptation_bits: widths of the states of these names, 0 for none
    output:         the population that is read out
    readout:        "spikes" or "membrane"
    inputs:         the logical inputs, as the stimulus has them
    metadata:       free JSON that no arithmetic reads
    pim:            the head of the PIM layer, if the network has one
    onn:            that of its oscillators, if it has some
    dendritic:      that of its dendritic neurons, if it has some
    """

    name: str
    sha256: str
    steps: int
    membrane_bits: int
    output: str
    readout: str
    inputs: tuple[Input, ...]
    metadata: dict[str, Any]
    pim: PimHead | None = None
    onn: OnnHead | None = None
    dendritic: DendriticHead | None = None
    current_bits: int = 0
    adaptation_bits: int = 0

    @property
    def source(self) -> OnnHead | DendriticHead | None:
        """The head of the net that makes the spikes of one of the inputs, if there is one."""
        return self.onn or self.dendritic

    @classmethod
    def of(cls, network: Network) -> "NetworkSummary":
        """The summary of ``network``; its metadata as JSON gives it back."""
        return cls(
            name=network.name,
            sha256=network.sha256(),
            steps=network.steps,
            membrane_bits=network.membrane_bits,
            output=network.output,
            readout=network.readout,
            inputs=network.inputs,
            metadata=json.loads(json.dumps(network.metadata)),
            pim=network.pim_head,
            onn=network.onn.head if network.onn else None,
            dendritic=network.dendritic.head if network.dendritic else None,
            current_bits=network.current_bits,
            adaptation_bits=network.adaptation_bits,
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        plain = {
            "name": self.name,
            "sha256": self.sha256,
            "steps": self.steps,
            "membrane_bits": self.membrane_bits,
            "output": self.output,
            "readout": self.readout,
            "inputs": [[node.name, node.size] for node in self.inputs],
            "metadata": self.metadata,
        }
        plain |= {key: bits for key in STATE_BITS if (bits := getattr(self, key))}
        heads = {"pim": self.pim, "onn": self.onn, "dendritic": self.dendritic}
        return plain | {key: head.to_dict() for key, head in heads.items() if head}

    @classmethod
    def from_dict(cls, values: dict[str, Any], what: str) -> "NetworkSummary":
        """Inverse of :meth:`to_dict`; InputError for anything else.

        ``what`` names the file it comes from.
        """
        if not isinstance(values, dict):
            raise InputError(f"network of {what} must be an object, not {values!r}")
        known = [f.name for f in fields(cls)]
        if missing := [name for name in known if name not in (*values, *OPTIONAL)]:
            raise InputError(f"network of {what} must be complete, not without {missing[0]!r}")
        if unknown := sorted(set(values) - set(known)):
            raise InputError(
                f"network of {what} must hold {', '.join(known)}, not also {unknown[0]!r}"
            )
        for key in ("name", "sha256", "output"):
            if not isinstance(values[key], str):
                raise InputError(
                    f"{key} of the network of {what} must be text, not {values[key]!r}"
                )
        check_int(f"steps of the network of {what}", values["steps"], 1, 1 << 16)
        check_int(f"membrane_bits of the network of {what}", values["membrane_bits"], 8, 32)
        for key, most in STATE_BITS.items():
            if key in values:
                check_int(f"{key} of the network of {what}", values[key], 8, most)
        if values["readout"] not in READOUTS:
            raise InputError(
                f"readout of the network of {what} must be {' or '.join(READOUTS)}, "
                f"not {values['readout']!r}"
            )
        if not isinstance(values["metadata"], dict):
            raise InputError(
                f"metadata of the network of {what} must be an object, not {values['metadata']!r}"
            )
        return cls(
            **{
                **values,
                "inputs": _inputs(values["inputs"], what),
                **{
                    key: kind.from_dict(values[key], what)
                    for key, kind in HEADS.items()
                    if key in values
                },
            }
        )


def _inputs(pairs: Any, what: str) -> tuple[Input, ...]:
    if not isinstance(pairs, list) or not all(
        isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) for pair in pairs
    ):
        raise InputError(
            f"inputs of the network of {what} must be [name, size] pairs, not {pairs!r}"
        )
    for name, size in pairs:
        check_int(f"size of input {name!r} of the network of {what}", size, 1, 1 << 24)
    return tuple(Input(name=name, size=size) for name, size in pairs)
