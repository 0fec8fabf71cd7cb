"""Stages that are done again only if what they are made from, or what they left, has changed.

A stage is one function, ``make``, in a module of its own. Its key holds all that it can see: its
settings, the files it reads, the sources of its module and of all that module imports, and the
versions of the packages those import. ``stages.json`` in the folder of the walk keeps the keys, the
hashes of the outputs, and what each ``make`` returned.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from spikeloop.cosim.provenance import code, foreign, sha256
from spikeloop.pysim.common.files import write_atomic
from spikeloop.pysim.common.reading import read_file

__all__ = ["Files", "Stages"]


class Files(Protocol):
    """An input of several files; the stage gets the object itself."""

    def files(self) -> list[Path]:
        """The files whose contents belong to the key."""


class Stages:
    """The stages of one walk, in ``folder``.

    tell:    is told in words what is being done
    seconds: time of each stage by name; reused: names of the stages whose output was kept
    """

    def __init__(self, folder: Path, tell: Callable[[str], None]) -> None:
        self.folder, self.tell = folder, tell
        self.file = folder / "stages.json"
        self.seconds: dict[str, float] = {}
        self.reused: list[str] = []
        try:
            known = json.loads(read_file(self.file, "stages", "run it again"))
        except (ValueError, RecursionError):  # an InputError too: nothing is known
            known = {}
        self.known: dict[str, Any] = known if isinstance(known, dict) else {}

    def run(
        self,
        make: Callable[..., Any],
        output: str,
        *,
        settings: Mapping[str, Any],
        inputs: Mapping[str, Path | Files],
        aside: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call ``make(output=PATH, **settings, **inputs, **aside)`` unless its output is good.

        The stage has the name of the module of ``make``. ``settings`` are JSON values, ``inputs``
        are hashed by content; ``aside`` changes nothing of what is made and is not in the key.
        Returns what ``make`` returned (JSON), now or when it was last called.
        """
        name = make.__module__.rpartition(".")[2]
        if "<" in make.__qualname__:
            raise TypeError(f"{make.__qualname__} could see more than its key holds")
        key, path, started = _key(make, settings, inputs), self.folder / output, time.perf_counter()
        last = self.known.get(name)
        whole = sha256(path)
        if (
            whole
            and isinstance(last, dict)
            and (last.get("key"), last.get("sha256")) == (key, whole)
        ):
            self.reused.append(name)
            self.tell(f"{name}: unchanged, kept")
        else:
            self.tell(f"{name} ...")
            note = make(output=path, **settings, **inputs, **(aside or {}))
            last = {"key": key, "sha256": sha256(path), "note": note}
            self.known[name] = last
            write_atomic(self.file, (json.dumps(self.known, indent=1) + "\n").encode())
        self.seconds[name] = time.perf_counter() - started
        return last.get("note")

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """A stage that is always done."""
        self.tell(f"{name} ...")
        started = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - started


def _key(
    make: Callable[..., Any], settings: Mapping[str, Any], inputs: Mapping[str, Path | Files]
) -> str:
    """SHA-256 of all that ``make`` can see."""
    module = make.__module__
    contents = {
        name: sha256(source)
        if isinstance(source, Path)
        else [(file.name, sha256(file)) for file in source.files()]
        for name, source in inputs.items()
    }
    seen = {
        "make": f"{module}.{make.__qualname__}",
        "settings": settings,
        "inputs": contents,
        "code": code(module),
        "packages": foreign(module),
    }
    return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()
