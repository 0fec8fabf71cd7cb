"""NIR files read from HDF5 without trust, as plain arrays.

Format: Pedersen et al. 2024, "Neuromorphic intermediate representation". Only hard links are
followed, only numbers and texts are read, and nothing that lies in another file. Sizes are added up
before anything is unpacked, and a file with too many values is refused. The format has no pickle,
and none is read.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.golden.interchange.common import MAX_VALUES, read_bounded
from spikeloop.golden.interchange.graph.node import Node
from spikeloop.golden.interchange.hdf5 import check_readable
from spikeloop.pysim.common.errors import InputError

__all__ = ["read_nir"]

MAX_DEPTH, MAX_ITEMS = 8, 100_000
MAX_LETTERS = 1 << 22  # bytes of all texts together
ENDLESS = ("tau", "r", "v_threshold")
"""Values that may be infinite: a neuron that never leaks, one that never spikes."""
MAGIC = b"\x89HDF\r\n\x1a\n"


def read_nir(path: str | Path) -> tuple[dict[str, Node], list[tuple[str, str]]]:
    """Nodes by name, and edges.

    Nested graphs are taken apart into their nodes, named ``outer_inner``. InputError for anything
    but a sound file, and without the package nir.
    """
    try:
        import h5py
    except ImportError:
        raise InputError(
            "package nir, which reads NIR files, is missing: pip install -e '.[nir]' in a checkout"
        ) from None
    path = Path(path)
    data = read_bounded(path)
    if not data.startswith(MAGIC):
        raise InputError(f"NIR file {str(path)!r} must be HDF5, not something else")

    def read() -> dict[str, Any]:
        with h5py.File(io.BytesIO(data), "r") as file:
            return _Reader(path, h5py, len(data)).group(file, "", 0)

    check_readable(read, len(data), f"NIR file {str(path)!r}")
    try:
        tree = read()
    except InputError:
        raise
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        why = str(error).splitlines()[0][:80]
        raise InputError(
            f"NIR file {str(path)!r} is damaged ({why}): copy or export it again"
        ) from None
    nodes: dict[str, Node] = {}
    edges: list[tuple[str, str]] = []
    _graph(tree.get("node"), "", nodes, edges, str(path))
    return nodes, edges


class _Reader:
    """Turns groups into dicts; values, items and texts have one budget each."""

    def __init__(self, path: Path, h5py: Any, size: int) -> None:
        self.what, self.h5py, self.size = f"NIR file {str(path)!r}", h5py, size
        self.values, self.items, self.letters = MAX_VALUES, MAX_ITEMS, MAX_LETTERS

    def group(self, group: Any, where: str, depth: int) -> dict[str, Any]:
        if depth > MAX_DEPTH:
            raise InputError(
                f"groups of {self.what} must be nested at most {MAX_DEPTH} deep, not deeper as in "
                f"{where!r}"
            )
        entries: dict[str, Any] = {}
        for name in group:
            at = f"{where}/{name}"
            self.items -= 1
            if self.items < 0:
                raise InputError(
                    f"{self.what} must hold at most {MAX_ITEMS:,} groups and data sets, not more"
                )
            if not isinstance(group.get(name, getlink=True), self.h5py.HardLink):
                raise InputError(
                    f"entries of {self.what} must lie in it, not behind the link {at!r}"
                )
            item = group[name]
            if isinstance(item, self.h5py.Group):
                entries[name] = self.group(item, at, depth + 1)
            else:
                entries[name] = self.dataset(item, at)
        return entries

    def dataset(self, item: Any, at: str) -> Any:
        if not isinstance(item, self.h5py.Dataset):
            raise InputError(f"entries of {self.what} must be groups and data sets, not {at!r}")
        if item.is_virtual or item.external:
            raise InputError(
                f"data sets of {self.what} must lie in it, not in other files as {at!r} does"
            )
        text = self.h5py.check_string_dtype(item.dtype)
        if text is None and item.dtype.kind not in "fiub":
            raise InputError(
                f"data sets of {self.what} must hold numbers or texts, not {item.dtype} as {at!r} "
                "does"
            )
        if item.shape is None or len(item.shape) > 8:
            raise InputError(
                f"data sets of {self.what} must have 0 to 8 axes, not others as {at!r} has"
            )
        count = int(np.prod(item.shape, dtype=object))
        self.values -= count
        if self.values < 0:
            raise InputError(
                f"{self.what} must hold at most {MAX_VALUES:,} values, not more (at {at!r})"
            )
        if text is not None:
            return self.texts(item, count, text.length, at)
        value = item[()]
        array = np.asarray(value, np.float64 if item.dtype.kind == "f" else np.int64)
        endless = at.rpartition("/")[2] in ENDLESS and not np.isnan(array).any()
        if not endless and not np.isfinite(array).all():
            wrong = array[~np.isfinite(array)].flat[0]
            raise InputError(f"numbers of {self.what} must be finite, not {wrong} as in {at!r}")
        return array

    def texts(self, item: Any, count: int, length: int | None, at: str) -> Any:
        """The texts of a data set: one, or an array.

        ``length`` of each in bytes, None if they vary. One of these may stand in many places, so
        they are read in parts that cannot be larger than what is left.
        """
        least = length or 1
        if item.ndim > 2 or count * least > self.letters:
            raise InputError(
                f"texts of {self.what} must be of at most {MAX_LETTERS:,} bytes together, "
                f"not more (at {at!r})"
            )
        if item.shape == ():
            return self._text(item[()], at)
        rows = item.shape[0]
        part = max(1, self.letters // (self.size * max(1, count // max(1, rows))))
        flat: list[str] = []
        for start in range(0, rows if count else 0, part):
            values = np.asarray(item[start : start + part], object).ravel()
            flat += [self._text(value, at) for value in values]
        return np.array(flat, object).reshape(item.shape)

    def _text(self, value: Any, at: str) -> str:
        self.letters -= max(1, len(value))
        if self.letters < 0:
            raise InputError(
                f"texts of {self.what} must be of at most {MAX_LETTERS:,} bytes together, "
                f"not more (at {at!r})"
            )
        return value.decode() if isinstance(value, bytes) else str(value)


def _graph(
    tree: Any, prefix: str, nodes: dict[str, Node], edges: list[tuple[str, str]], path: str
) -> None:
    """Enter the nodes and edges of a graph, and of the graphs in it; ``prefix`` names it."""
    kind = tree.get("type") if isinstance(tree, dict) else None
    if kind != "NIRGraph" or not isinstance(tree.get("nodes"), dict):
        raise InputError(f"NIR file {path!r} must hold a NIRGraph with nodes, not {kind!r}")
    inner: dict[str, tuple[str, str]] = {}  # name of a nested graph: its input and output
    for name, item in tree["nodes"].items():
        kind = item.get("type") if isinstance(item, dict) else None
        if not isinstance(kind, str):
            under = item.items() if isinstance(item, dict) else ()
            parts = [key for key, value in under if isinstance(value, dict) and "type" in value]
            if parts:
                raise InputError(
                    f"names of nodes of NIR file {path!r} must be without '/', which makes a "
                    f"folder in HDF5, not {f'{prefix}{name}/{parts[0]}'!r}: rename it, export again"
                )
            raise InputError(
                f"node {prefix + name!r} of NIR file {path!r} must have a type, not none"
            )
        if kind == "NIRGraph":
            _graph(item, f"{prefix}{name}_", nodes, edges, path)
            ends = [
                [n for n in nodes if n.startswith(f"{prefix}{name}_") and nodes[n].kind == end]
                for end in ("Input", "Output")
            ]
            if any(len(names) != 1 for names in ends):
                raise InputError(
                    f"graph {prefix + name!r} of NIR file {path!r} must have one Input and one "
                    f"Output, not {len(ends[0])} and {len(ends[1])}"
                )
            inner[name] = ends[0][0], ends[1][0]
            for end in inner[name]:
                nodes[end] = Node(end, "Pass", {}, {})
            continue
        metadata = item.get("metadata", {})
        values = {
            key: value
            for key, value in item.items()
            if key not in ("type", "metadata") and not isinstance(value, dict)
        }
        nodes[prefix + name] = Node(
            prefix + name, kind, values, metadata if isinstance(metadata, dict) else {}
        )
    listed = np.asarray(tree.get("edges", np.zeros((0, 2))), object)
    if listed.ndim != 2 or listed.shape[1] != 2:
        raise InputError(
            f"edges of NIR file {path!r} must be pairs of names, not of shape {listed.shape}"
        )
    for source, target in listed.tolist():
        for end in (source, target):
            if end not in tree["nodes"]:
                raise InputError(
                    f"edge {source!r}->{target!r} of NIR file {path!r} must join nodes of the "
                    f"graph, not {end!r}"
                )
        start = inner[source][1] if source in inner else prefix + source
        stop = inner[target][0] if target in inner else prefix + target
        edges.append((start, stop))
