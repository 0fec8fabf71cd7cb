"""What a first layer in a PIM macro saves, by the model of ACE-SNN (pysim/pim/cost.py).

    python -m spikeloop.cosim.studies.pim.cost [ZETA [R]]

The net is ACE-SNN's CNN-3D for Indian Pines. ZETA is the number of spikes per neuron of the hidden
layers, R the number of accumulations per conversion; defaults are those of the model.
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
    """Costs of one image by name.

    ANNs, the first layer of the spiking net in both kinds of hardware, the spiking nets.
    """
    # Table 1; the classifier is not in the paper's sums
    first, *others = [(layer.window, layer.channels) for layer in cnn3d()[:-1]]

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
    titles = f"{'reads nJ':>10}{'compute nJ':>12}{'energy nJ':>11}{'delay us':>10}{'EDP uJ us':>11}"
    print(f"{'':28}{titles}")
    for name, cost in rows.items():
        energies = f"{cost.read / 1e3:>10.1f}{cost.compute / 1e3:>12.1f}{cost.energy / 1e3:>11.1f}"
        print(f"{name:28}{energies}{cost.delay / 1e3:>10.1f}{cost.edp / 1e9:>11.1f}")
    for name, before, after in (
        ("PIM, first layer", "first layer, digital MACs", "first layer, PIM"),
        ("PIM, whole net", "SNN, first layer digital", "SNN, first layer PIM"),
        ("SNN against ANN, 32 bits", "ANN, 32 bits", "SNN, first layer digital"),
        ("SNN against ANN, 6 bits", "ANN, 6 bits", "SNN, first layer digital"),
    ):
        a, b = rows[before], rows[after]
        print(
            f"gain of {name:28} energy {a.energy / b.energy:7.2f}   "
            f"delay {a.delay / b.delay:5.2f}   EDP {a.edp / b.edp:7.2f}"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
