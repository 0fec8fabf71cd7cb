"""How fast the default PIM macro converts, and whether it gives what pysim and golden give.

python -m spikeloop.cosim.macros.rate [CONVERSIONS]       10,000,000 unless given
"""

import sys
import time

import numpy as np

from spikeloop.cosim.macros.pim import PimModel
from spikeloop.pysim.pim.layer import PimLayer, PimParams
from spikeloop.pysim.pim.window import PimWindow

__all__ = ["main"]


def main(conversions: int) -> int:
    """Run random layers on the default macro, all effects on, until ``conversions`` are made.

    Compares the RTL with pysim and golden. Returns 0 if all are equal, else 1.
    """
    from spikeloop.golden.reference import pim as golden
    from spikeloop.pysim.pim import model as pim

    params = PimParams(ir_drop=True)
    model, rng = PimModel(params), np.random.default_rng(0)
    done, different, seconds, products, golden_seconds = 0, 0, 0.0, 0, 0.0
    while done < conversions:
        cells = rng.random((2, params.banks, params.rows, params.columns)) < 0.01
        layer = PimLayer.make(
            params,
            PimWindow.make((3, 12, 12), (3, 3), padding=1),
            rng.integers(-32, 32, (168, 27)),
            shift=int(rng.integers(3, 9)),
            gain=rng.integers(3800, 4400, (4, 42)),
            offset=rng.integers(-30, 31, (4, 42)),
            stuck0=cells[0],
            stuck1=cells[1],
            keep=rng.integers(230, 257, (4, 8)),
            limit=int(rng.integers(20_000, params.value_max)),
            sigma=int(rng.integers(0, 256)),
            seed=int(rng.integers(1 << 62)),
        )
        images, streams = rng.integers(0, 256, (20, 3, 12, 12)), rng.integers(0, 1 << 40, 20)
        model.load(layer)
        start = time.process_time()
        ours = model.run(images, streams)
        seconds += time.process_time() - start
        chip, start = pim.run(layer, images, streams), time.process_time()
        reference = golden.run(layer, images, streams)
        golden_seconds += time.process_time() - start
        products += ours.counters["n_blp"]
        for want in (chip, reference):
            different += int(
                (ours.codes != want.codes).sum() + (ours.currents != want.currents).sum()
            )
        different += ours.counters != chip.counters
        different += (ours.counters["n_sat"], ours.counters["n_clip"]) != (
            reference.saturated.sum(),
            reference.clipped.sum(),
        )
        done += ours.counters["n_adc"]
    print(
        f"{done:,} conversions in {seconds:.1f} s of processor time: "
        f"{done / seconds:,.0f} per second; {different} different from pysim or golden"
    )
    print(f"golden: {products / golden_seconds / 1e6:,.0f} million products per second")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1].replace(",", "")) if len(sys.argv) > 1 else 10_000_000))
