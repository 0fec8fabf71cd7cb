"""What a first layer in a PIM macro saves, by the model of ACE-SNN (pysim/pim/cost.py), on its CNN-3D for Indian Pines.

python -m spikeloop.cosim.studies.pim.cost [ZETA [R]]      spikes per neuron of the hidden layers; accumulations per conversion (defaults of pim_cost)
"""

import sys
from functools import reduce
from operator import add

from spikeloop.golden.rules.qstdb.indian_pines import cnn3d
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.pim.cost import ACCUMULATIONS, ZETA, Cost, digital, pim

__all__ = ["table"]

FIRST_BITS = 48**0.5  # of a product of an 8-bit pixel and a 6-bit weight: their geometric mean


def table(zeta: float = ZETA, accumulations: float = ACCUMULATIONS) -> dict[str, Cost]:
    """Costs of one image by name: ANNs, the spiking net's first layer in both kinds of hardware, the spiking nets."""
    first, *others = [
        (layer.window, layer.channels) for layer in cnn3d()[:-1]
    ]  # Table 1; the classifier is not in the paper's sums

    def sum_(costs: list[Cost]) -> Cost:
        return reduce(add, costs)

    spiking = sum_([digital(*layer, bits=6, zeta=zeta) for layer in others])
    mac, macro = digital(*first, bits=FIRST_BITS), pim(*first, accumulations=accumulations)
    anns = {
        f"ANN, {bits} bits": sum_([digital(*layer, bits=bits) for layer in (first, *others)])
        for bits in (32, 6)
    }
    return {
        **anns,
        "first layer, digital MACs": mac,
        "first layer, PIM": macro,
        "SNN, first layer digital": mac + spiking,
        "SNN, first layer PIM": macro + spiking,
    }


def main(arguments: list[str]) -> None:
    try:
        rows = table(*map(float, arguments))
    except InputError as error:
        sys.exit(f"spikeloop: {error}")
    print(
        f"{'':28}{'reads nJ':>10}{'compute nJ':>12}{'energy nJ':>11}{'delay us':>10}{'EDP uJ us':>11}"
    )
    for name, c in rows.items():
        print(
            f"{name:28}{c.read / 1e3:>10.1f}{c.compute / 1e3:>12.1f}{c.energy / 1e3:>11.1f}{c.delay / 1e3:>10.1f}{c.edp / 1e9:>11.1f}"
        )
    for name, a, b in (
        ("PIM, first layer", "first layer, digital MACs", "first layer, PIM"),
        ("PIM, whole net", "SNN, first layer digital", "SNN, first layer PIM"),
        ("SNN against ANN, 32 bits", "ANN, 32 bits", "SNN, first layer digital"),
        ("SNN against ANN, 6 bits", "ANN, 6 bits", "SNN, first layer digital"),
    ):
        print(
            f"gain of {name:28} energy {rows[a].energy / rows[b].energy:7.2f}   delay {rows[a].delay / rows[b].delay:5.2f}   "
            f"EDP {rows[a].edp / rows[b].edp:7.2f}"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
