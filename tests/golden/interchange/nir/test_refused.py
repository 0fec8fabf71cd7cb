"""NIR graphs and files that are refused, each by a sentence that names its fault."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeloop.golden.interchange.graph.semantics import Semantics
from spikeloop.golden.interchange.nir.read import import_nir
from spikeloop.pysim.common.errors import InputError

nir = pytest.importorskip("nir", reason="package nir is not installed: pip install -e '.[nir]'")
h5py = pytest.importorskip("h5py")

WEIGHTS = "node/nodes/n0/weight"


def lif(**changes: Any) -> Any:
    return nir.LIF(
        **(
            {
                "tau": np.full(3, 2.0),
                "r": np.ones(3),
                "v_leak": np.zeros(3),
                "v_threshold": np.ones(3),
            }
            | changes
        )
    )


def chain(*nodes: Any, size: Any = 2, out: int = 3, back: bool = False) -> Any:
    named = {"input": nir.Input(np.ravel(size))} | {f"n{i}": node for i, node in enumerate(nodes)}
    named["output"] = nir.Output(np.array([out]))
    edges = list(zip(named, list(named)[1:], strict=False))
    return nir.NIRGraph(named, edges + [("n1", "n0")] * back, type_check=False)


WEIGHT = np.ones((3, 2))


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (
            lambda: chain(nir.Linear(WEIGHT), nir.CubaLIF(np.full(3, 0.5), *[np.ones(3)] * 4)),
            "dt must be at most tau_syn of node 'n1'",
        ),
        (
            lambda: chain(nir.Linear(np.ones((3, 4))), lif()),
            r"edge 'input'->'n0' must carry the shape that Linear takes, \(4,\), not \(2,\)",
        ),
        (
            lambda: chain(nir.Linear(np.ones((5, 2))), lif()),
            r"edge 'n0'->'n1' must carry the shape of its target, \(3,\), not \(5,\)",
        ),
        (
            lambda: chain(nir.Linear(WEIGHT), lif(tau=np.zeros(3))),
            "tau of node 'n1' must be positive, not 0",
        ),
        (lambda: chain(nir.Linear(WEIGHT), lif(tau=np.full(3, 0.5))), "dt must be at most tau"),
        (lambda: chain(nir.Linear(WEIGHT), lif(v_reset=np.ones(3))), "must lie above v_reset"),
        (
            lambda: chain(nir.Linear(WEIGHT), lif(r=np.array([1, np.nan, 1]))),
            "must be finite, not nan",
        ),
        (
            lambda: chain(nir.Linear(np.ones((2, 2))), nir.Linear(np.ones((2, 2))), back=True),
            "cycle n0->n1 must hold a spiking node",
        ),
        (
            lambda: chain(
                nir.Conv2d((4, 4), np.ones((1, 1, 3, 3)), 1, 0, 1, 1, np.zeros(1)), lif()
            ),
            "channels, height and width",
        ),
        (
            lambda: chain(
                nir.Conv1d(3, np.ones((1, 1, 1)), 1, 0, 0, 1, np.zeros(1)), lif(), size=[1, 3]
            ),
            "dilation of node 'n0' must be at least 1, not 0",
        ),
        (
            lambda: chain(
                nir.Linear(WEIGHT),
                nir.LI(np.full(3, 2.0), np.ones(3), np.zeros(3)),
                nir.Linear(np.ones((3, 3))),
                lif(),
            ),
            "must come from a spiking node, not from LI",
        ),
    ],
)
def test_graphs_that_are_refused(graph: Callable[[], Any], message: str, tmp_path: Path) -> None:
    nir.write(tmp_path / "net.nir", graph())
    with pytest.raises(InputError, match=message):
        import_nir(tmp_path / "net.nir", Semantics(dt=1.0))


def hdf5(change: Callable[[Any], object]) -> Callable[[Path], object]:
    def damage(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            change(file)

    return damage


def _replace(file: Any, name: str, **options: Any) -> None:
    del file[name]
    file.create_dataset(name, **options)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda p: p.write_bytes(b"not HDF5"), "must be HDF5"),
        (lambda p: p.write_bytes(b"PK\x03\x04" + bytes(64)), "not an archive"),
        (lambda p: p.write_bytes(p.read_bytes()[:600]), "NIR file .* is damaged"),
        (lambda p: p.unlink(), "file to import .* is missing"),
        (
            hdf5(lambda f: f["node/nodes"].__setitem__("n9", h5py.ExternalLink("other.h5", "/"))),
            "not behind the link '/node/nodes/n9'",
        ),
        (
            hdf5(lambda f: f["node"].__setitem__("soft", h5py.SoftLink("/node/nodes"))),
            "not behind the link",
        ),
        (hdf5(lambda f: f["node/nodes/n0"].__setitem__("loop", f["node"])), "nested at most"),
        (
            hdf5(
                lambda f: f["node/nodes/n0"].create_dataset(
                    "note", (3,), h5py.string_dtype(length=1 << 21), chunks=(1,), compression=1
                )
            ),
            "texts of NIR file .* must be of at most 4,194,304 bytes together",
        ),
        (
            hdf5(lambda f: f["node/nodes/n0"].create_dataset("note", data=["x" * (1 << 20)] * 5)),
            "texts of NIR file .* must be of at most 4,194,304 bytes together",
        ),
        (
            hdf5(
                lambda f: _replace(
                    f,
                    WEIGHTS,
                    shape=(1 << 15, 1 << 15),
                    dtype="f4",
                    compression="gzip",
                    chunks=(1024, 1024),
                )
            ),
            "at most",
        ),
        (
            hdf5(
                lambda f: _replace(
                    f, WEIGHTS, shape=(3, 2), dtype="f4", external=[("/etc/hostname", 0, 24)]
                )
            ),
            "not in other files",
        ),
        (
            hdf5(
                lambda f: (
                    f.__delitem__(WEIGHTS),
                    f.create_virtual_dataset(WEIGHTS, h5py.VirtualLayout((3, 2), "f4")),
                )
            ),
            "not in other files",
        ),
        (
            hdf5(lambda f: _replace(f, WEIGHTS, data=np.zeros((3, 2), np.complex64))),
            "numbers or texts",
        ),
        (
            hdf5(lambda f: _replace(f, "node/nodes/n1/type", data="Frobnicator")),
            "'n1' must be one of.*'Frobnicator'",
        ),
        (hdf5(lambda f: f.__delitem__(WEIGHTS)), "node 'n0' must have numbers weight"),
        (
            hdf5(
                lambda f: _replace(
                    f, "node/edges", data=[["input", "nowhere"]], dtype=h5py.string_dtype()
                )
            ),
            "not 'nowhere'",
        ),
    ],
)
def test_files_that_are_refused(
    damage: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "net.nir"
    nir.write(path, chain(nir.Linear(WEIGHT), lif()))
    import_nir(path, Semantics(dt=1.0))
    damage(path)
    with pytest.raises(InputError, match=message):
        import_nir(path, Semantics(dt=1.0))


def _budgets(path: Path) -> dict[str, int]:
    """Groups and data sets of a file, and bytes of its texts, of which an empty one takes one."""
    found = {"MAX_ITEMS": 0, "MAX_LETTERS": 0}

    def count(_: str, item: Any) -> None:
        found["MAX_ITEMS"] += 1
        if isinstance(item, h5py.Dataset) and h5py.check_string_dtype(item.dtype):
            texts = np.ravel(np.asarray(item[()], object)).tolist()
            found["MAX_LETTERS"] += sum(max(1, len(text)) for text in texts)

    with h5py.File(path) as file:
        file.visititems(count)
    return found


@pytest.mark.parametrize(
    ("budget", "message"),
    [("MAX_ITEMS", "must hold at most {} groups and data sets"), ("MAX_LETTERS", "at most {} byt")],
)
def test_budgets_are_kept_to_the_last(
    budget: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that takes all of a budget is read; one that takes one more is refused."""
    path = tmp_path / "net.nir"
    nir.write(path, chain(nir.Linear(WEIGHT), lif()))
    most = _budgets(path)[budget]
    assert most > 20
    monkeypatch.setattr(f"spikeloop.golden.interchange.nir.file.{budget}", most)
    import_nir(path, Semantics(dt=1.0))
    monkeypatch.setattr(f"spikeloop.golden.interchange.nir.file.{budget}", most - 1)
    with pytest.raises(InputError, match=message.format(most - 1)):
        import_nir(path, Semantics(dt=1.0))
