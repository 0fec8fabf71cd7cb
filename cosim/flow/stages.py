"""Steps that remember what they were computed from, and are done again only if that, or what they left, has changed.

``stages.json`` in their folder holds the hashes. What a step depends on is for its caller to name: settings, files, sources, packages.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spikeloop.cosim.provenance import sha256
from spikeloop.pysim.common.files import write_atomic

__all__ = ["Stages"]


class Stages:
    """Steps that remember what they were computed from. ``note`` is any JSON a step wants kept with its files."""

    def __init__(self, folder: Path, tell: Callable[[str], None]) -> None:
        self.folder, self.tell = folder, tell
        self.file = folder / "stages.json"
        self.seconds: dict[str, float] = {}
        self.reused: list[str] = []
        try:
            self.known = json.loads(self.file.read_bytes())
        except (OSError, ValueError):
            self.known = {}

    def run(
        self, name: str, inputs: dict[str, Any], outputs: Sequence[str], work: Callable[[], Any]
    ) -> Any:
        """Do ``work`` unless its inputs and its output files (or folders) are the same as when it was last done; its note."""
        key = hashlib.sha256(json.dumps(inputs, sort_keys=True, default=str).encode()).hexdigest()
        old = self.known.get(name)
        started = time.perf_counter()
        if (
            isinstance(old, dict)
            and old.get("key") == key
            and old.get("outputs") == self._hashes(outputs)
        ):
            self.reused.append(name)
            self.seconds[name] = time.perf_counter() - started
            self.tell(f"{name}: unchanged, kept")
            return old.get("note")
        self.tell(f"{name} ...")
        note = work()
        self.known[name] = {"key": key, "outputs": self._hashes(outputs), "note": note}
        write_atomic(self.file, (json.dumps(self.known, indent=1) + "\n").encode())
        self.seconds[name] = time.perf_counter() - started
        return note

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """A step that is always done."""
        self.tell(f"{name} ...")
        started = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - started

    def _hashes(self, outputs: Sequence[str]) -> dict[str, str | None]:
        return {name: sha256(self.folder / name) for name in outputs}
