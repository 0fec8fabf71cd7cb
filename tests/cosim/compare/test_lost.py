"""A cluster that is lost ends a comparison in one typed error; a job's own error passes."""

import asyncio
from concurrent.futures import CancelledError
from typing import Any

import pytest

from spikeloop.cosim.compare.farm import _Future
from spikeloop.pysim.common.errors import InputError


class KilledWorker(Exception):
    """As distributed names it."""


class CommClosedError(OSError):
    """As distributed names it."""


class Remote:
    """A future of a cluster that ends in ``error``."""

    def __init__(self, error: BaseException, done: bool) -> None:
        self.error, self.is_done = error, done

    def done(self) -> bool:
        return self.is_done

    def result(self, timeout: float) -> Any:
        raise self.error


@pytest.mark.parametrize(
    ("error", "done", "kind", "words"),
    [
        (CancelledError(), True, ConnectionError, "the dask scheduler was lost: start the cl"),
        (asyncio.CancelledError(), True, ConnectionError, "the dask scheduler was lost: start"),
        (CommClosedError(), True, ConnectionError, "the dask scheduler was lost: start the cl"),
        (KilledWorker(), True, ConnectionError, "a job killed every dask worker that took it"),
        (TimeoutError(), False, ConnectionError, "all dask workers were lost: start the clust"),
        (TimeoutError("a tick hangs"), True, TimeoutError, "a tick hangs"),
        (InputError("other sources"), True, InputError, "other sources"),
        (OSError(28, "No space left"), True, OSError, "No space left"),
    ],
)
def test_a_lost_cluster(error: BaseException, done: bool, kind: Any, words: str) -> None:
    with pytest.raises(kind, match=words):
        _Future(Remote(error, done), lambda: 0).result()
