"""Many machines: the jobs of a comparison on the workers of a dask.distributed cluster.

    spikeloop compare --scheduler ADDRESS          (extra ``farm``)

A worker gets network and image once, opens the backends and keeps them. Simulators are built once
per host: the build cache is locked. A job is a chunk of samples; its result is its line of the
journal, so that the verdict has the bits of a run in one process. Jobs of a lost worker are done
again by another. Workers must run the very same sources. dask sends pickles: the cluster must be
one that you trust.
"""

import asyncio
import hashlib
import io
import logging
import socket
import tarfile
import tempfile
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from spikeloop.cosim.backends import open_backend
from spikeloop.cosim.compare.chunk import Chunk, Job
from spikeloop.cosim.compare.compare import SINGLE
from spikeloop.cosim.compare.crew import Crew
from spikeloop.cosim.provenance import code
from spikeloop.pysim.bundle.open import load_bundle
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.graph import Network

__all__ = ["Farm", "do"]

SECONDS = 20
"""Time to find the scheduler."""

GO_ON = "start the cluster again and go on by --resume"

KEPT = 2
"""Crews that a thread of a worker keeps."""

_local = threading.local()


class Farm:
    """The workers of the cluster at ``address``, with the network and the image in ``folder``.

    InputError if there is no cluster or no worker, or if a backend of ``names`` exists only once.
    """

    def __init__(self, address: str, network: Network, folder: Path, names: Sequence[str]) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise InputError(
                "package distributed is missing, which a cluster needs: "
                "pip install -e '.[farm]' in a checkout"
            ) from None
        if urlsplit(address).scheme not in ("tcp", "tls"):
            raise InputError(
                f"address of a dask scheduler must be such as tcp://HOST:8786, not {address!r}"
            )
        if single := [name for name in names if name.partition(":")[0] in SINGLE]:
            raise InputError(
                f"backends on a cluster must be simulators or models, not {single[0]}, "
                "of which there is one"
            )
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.add(folder, "image")
        data, image, sources = network.to_bytes(), packed.getvalue(), _code()
        about = repr((list(names), sources)).encode()
        kit = {
            "network": data,
            "image": image,
            "names": list(names),
            "code": sources,
            "key": hashlib.sha256(data + image + about).hexdigest(),
        }
        where = urlsplit(address)
        for logger in ("distributed", "distributed.client"):  # what is lost is said in one sentence
            logging.getLogger(logger).setLevel(logging.CRITICAL)
        try:
            # a client that has never connected may wait for itself when it is closed: try first
            host = (where.hostname or "", where.port or 8786)
            socket.create_connection(host, timeout=SECONDS).close()
            self._client = Client(address, timeout=SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise InputError(
                f"dask scheduler must answer at {address!r}, not {type(error).__name__}: "
                "dask scheduler; dask worker ADDRESS"
            ) from None
        members = self._client.scheduler_info(n_workers=-1)["workers"].values()
        self.workers = sum(member["nthreads"] for member in members)
        if not self.workers:
            self._client.close()
            raise InputError(
                f"cluster at {address!r} must have workers, not none: dask worker {address}"
            )
        # a task, so that it is made again if its worker is lost
        self._kit = self._submit(dict, kit)

    def submit(self, job: Job) -> "_Future":
        return _Future(self._submit(do, self._kit, job), self._members)

    def _submit(self, *call: Any) -> Any:
        with warnings.catch_warnings():  # images and stimuli of many parts are large
            warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
            return self._client.submit(*call, pure=False)

    def _members(self) -> int:
        """Workers that the scheduler knows now; 0 if it does not answer."""
        try:
            return len(self._client.scheduler_info(n_workers=-1)["workers"])
        except (OSError, TimeoutError, KeyError):
            return 0

    def close(self, *, cancel: bool) -> None:
        """Disconnect. A job is cancelled when its last future is gone."""
        self._client.close(timeout=SECONDS)


class _Future:
    """A job on the cluster. ``members()`` says how many workers there are."""

    def __init__(self, remote: Any, members: Callable[[], int]) -> None:
        self.remote, self.members = remote, members

    def result(self) -> Chunk:
        """The chunk of the job. ConnectionError if its workers or the scheduler are lost."""
        while True:
            try:
                return Chunk.from_line(self.remote.result(timeout=SECONDS))
            except (asyncio.CancelledError, CancelledError):  # so the client ends all jobs
                raise ConnectionError(f"the dask scheduler was lost: {GO_ON}") from None
            except (TimeoutError, asyncio.TimeoutError):  # two kinds before Python 3.11
                if self.remote.done():  # of the job itself
                    raise
                if not self.members():
                    raise ConnectionError(f"all dask workers were lost: {GO_ON}") from None
            except Exception as error:
                kind = type(error).__name__
                if kind == "KilledWorker":
                    text = "a job killed every dask worker that took it (out of memory?)"
                    raise ConnectionError(f"{text}: {GO_ON}") from None
                if kind == "CommClosedError":
                    raise ConnectionError(f"the dask scheduler was lost: {GO_ON}") from None
                raise


def do(kit: dict[str, Any], job: Job) -> dict[str, Any]:
    """Do a job on a worker; the line of its chunk. The thread keeps the crew for the next job."""
    crews: OrderedDict[str, Crew] = _local.__dict__.setdefault("crews", OrderedDict())
    if kit["key"] not in crews:
        if kit["code"] != _code():
            raise InputError(
                "spikeloop on every worker must have the sources of this one, not others: "
                "install the same version there"
            )
        while len(crews) >= KEPT:
            crews.popitem(last=False)[1].close()
        crews[kit["key"]] = _Worker(kit)
    return crews[kit["key"]].run(job).to_line()


class _Worker(Crew):
    """The crew of a kit, and the folder of its image, which is read as the parts run."""

    def __init__(self, kit: dict[str, Any]) -> None:
        network = Network.from_bytes(kit["network"])
        self._folder = tempfile.TemporaryDirectory(prefix="spikeloop-")
        with tarfile.open(fileobj=io.BytesIO(kit["image"])) as tar:
            tar.extractall(self._folder.name, filter="data")
        bundle = load_bundle(Path(self._folder.name) / "image")
        super().__init__(network, kit["names"], lambda name: open_backend(name, network, bundle))

    def close(self) -> None:
        super().close()
        self._folder.cleanup()


def _code() -> str:
    """SHA-256 of all sources that a worker runs."""
    return code(__name__)
