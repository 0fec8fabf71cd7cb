"""The nets of ACE-SNN's Table 2 (Datta et al. 2022) on a second multispectral image, Satellite.

    python -m spikeloop.golden.rules.qstdb.satellite --folder FOLDER

trains what is not yet in FOLDER and writes ``results.json`` (golden/rules/qstdb/study.py). The
paper has no such net. This one is CNN-3D as far as four bands go: its filters see three bands.
"""

import argparse
import math
from pathlib import Path

from spikeloop.golden.data.satellite import BANDS, CLASSES, PATCH, SATELLITE, load_satellite
from spikeloop.golden.rules.qstdb.net import Layer
from spikeloop.golden.rules.qstdb.study import study_command
from spikeloop.pysim.pim.window import PimWindow

__all__ = ["small_cnn3d"]


def small_cnn3d() -> tuple[Layer, ...]:
    """20 filters of 2 x 2 x 3, 84 of 2 x 2 x 3 and 84 of 1 x 1 x 3, then the classifier."""
    layers, source = list[Layer](), (1, PATCH, PATCH, BANDS)
    for i, (channels, kernel) in enumerate(((20, (2, 2, 3)), (84, (2, 2, 3)), (84, (1, 1, 3))), 1):
        window = PimWindow(source=source, kernel=kernel, stride=(1, 1, 1), padding=(0, 0, 1))
        layers.append(Layer(name=f"conv{i}", window=window, channels=channels))
        source = layers[-1].target  # type: ignore[assignment]
    last = PimWindow.make((math.prod(source),))
    return *layers, Layer(name="fc", window=last, channels=CLASSES)


def main() -> None:
    parser = argparse.ArgumentParser(description="the nets of ACE-SNN's Table 2 on Satellite")
    parser.add_argument(
        "--data", type=Path, default=SATELLITE, help=f"Satellite.rda (default: {SATELLITE})"
    )
    study_command(parser, small_cnn3d(), lambda given: load_satellite(given.data), batch=32)


if __name__ == "__main__":
    main()
