"""CNN-3D of ACE-SNN (Datta et al. 2022, Table 1) on Indian Pines: Table 2's six nets.

    python -m spikeloop.golden.rules.qstdb.indian_pines --folder FOLDER

trains what is not yet in FOLDER and writes ``results.json`` (golden/rules/qstdb/study.py). A run
that was broken off continues after its last epoch. ``--out FILE`` makes the net of 6 bits alone, as
``spikeloop zoo`` keeps it.
"""

import argparse

import numpy as np

from spikeloop.golden.data.indian_pines import BANDS, PATCH, load_indian_pines
from spikeloop.golden.rules.qstdb.net import Layer
from spikeloop.golden.rules.qstdb.study import study_command
from spikeloop.pysim.pim.window import PimWindow

__all__ = ["cnn3d"]

# filters, kernel, stride and padding as (height, width, depth); the paper prints paddings as
# (depth, height, width)
TABLE1 = (
    (20, (3, 3, 3), (1, 1, 1), (0, 0, 0)),
    (40, (1, 1, 3), (1, 1, 2), (0, 0, 1)),
    (84, (3, 3, 3), (1, 1, 1), (0, 0, 1)),
    (84, (1, 1, 3), (1, 1, 2), (0, 0, 1)),
    (84, (1, 1, 3), (1, 1, 1), (0, 0, 1)),
    (84, (1, 1, 2), (1, 1, 2), (0, 0, 1)),
)


def cnn3d(patch: int = PATCH, bands: int = BANDS, classes: int = 16) -> tuple[Layer, ...]:
    """The six 3-D convolutions and the classifier."""
    layers, source = list[Layer](), (1, patch, patch, bands)
    for i, (channels, kernel, stride, padding) in enumerate(TABLE1, 1):
        window = PimWindow(source=source, kernel=kernel, stride=stride, padding=padding)
        layers.append(Layer(name=f"conv{i}", window=window, channels=channels))
        source = layers[-1].target  # type: ignore[assignment]
    last = PimWindow.make((int(np.prod(source)),))
    return *layers, Layer(name="fc", window=last, channels=classes)


def main() -> None:
    parser = argparse.ArgumentParser(description="Table 2 of ACE-SNN: CNN-3D on Indian Pines")
    study_command(parser, cnn3d(), lambda given: load_indian_pines(given.seed), 16, "indian_pines")


if __name__ == "__main__":
    main()
