"""Spiking networks from PyTorch to RTL, and the proof that every spike and membrane is the same.

The public names are those of ``__init__.pyi``: ``from spikeloop import Network, verify``. Each is
loaded from its module at first use, so ``import spikeloop`` stays quick. Type checkers read the
same file.
"""

import lazy_loader

__version__ = "0.2.0.dev0"  # the one writing of the version: pyproject.toml reads it here

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
