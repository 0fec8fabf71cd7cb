"""Small Q-STDB nets, and a file of patches as Satellite's, for several test modules."""

from pathlib import Path

import numpy as np
import torch

from spikeloop.golden.rules.qstdb.net import Layer, QstdbNet
from spikeloop.pysim.pim.layer import PimParams
from spikeloop.pysim.pim.window import PimWindow

MACRO = PimParams(banks=1, columns=24, rows=16, active_rows=8, share=2)


def small(seed: int = 0, **options: object) -> QstdbNet:
    """8 x 8 pixels -> 3 x 3 x 3 -> 5 x 2 x 2 -> 4, with leaks and thresholds of all sorts."""
    first = Layer(name="a", window=PimWindow.make((1, 8, 8), (3, 3), stride=2), channels=3)
    second = Layer(name="b", window=PimWindow.make(first.target, (2, 2)), channels=5)
    torch.manual_seed(seed)
    net = QstdbNet(
        (first, second, Layer(name="c", window=PimWindow.make((20,)), channels=4)), **options
    )  # type: ignore[arg-type]
    with torch.no_grad():
        net.leak.uniform_(0.5, 1)
        net.threshold.uniform_(0.2, 0.6)
    if net.pim:
        net.pim.calibrate(images(20, seed).reshape(-1, 1, 8, 8))
    return net.eval()


def images(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 64)).astype(np.uint8)


def write_satellite(path: Path, values: np.ndarray, labels: np.ndarray) -> Path:
    """A file as mlbench's: a data frame of x.1, x.2, ... and a factor of classes, packed by xz."""
    import pandas as pd
    import rdata

    table = pd.DataFrame(values.astype(float), columns=[f"x.{i}" for i in range(1, 37)])
    table.index = pd.RangeIndex(1, len(table) + 1)  # R's own row names
    table["classes"] = pd.Categorical.from_codes(labels, list("abcdef")[: labels.max() + 1])
    rdata.write_rda(path, {"Satellite": table}, compression="xz")
    return path
