"""What all tests share: the seed, the threads, and the reasons to skip.

A skip says what is missing, and pytest counts it. It is never a pass.
"""

import os

# Before numpy and torch load. The processes of pytest-xdist fill the cores already.
for _library in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")

import gc
import shutil
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from hypothesis.database import DirectoryBasedExampleDatabase

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
ICARUS = shutil.which("iverilog") is not None and shutil.which("vvp") is not None
NO_ICARUS = "Icarus Verilog is not installed: sudo apt-get install iverilog"

# Run first, so that all processes end together: a file of tests is the work of one process.
LONGEST = (*sorted((ROOT / "tests" / "whole").rglob("*.py")), ROOT / "tests/house/test_package.py")

# Elaboration and parsing make millions of objects that stay. With the usual thresholds a quarter of
# the time goes into the garbage collector.
gc.set_threshold(50_000, 20, 20)

# No deadline: a slow machine is not an error, and timings live in the bench.
# Failed examples stay where pytest was called: the tests themselves work elsewhere (own_folder).
hypothesis.settings.register_profile(
    "spikeloop",
    deadline=None,
    print_blob=True,
    database=DirectoryBasedExampleDatabase(Path.cwd() / ".hypothesis" / "examples"),
)
hypothesis.settings.load_profile("spikeloop")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--seed", type=int, default=0, help="seed of the fixtures `seed` and `rng` (default 0)"
    )
    parser.addoption(
        "--geometries",
        type=int,
        default=10,
        help="random PIM macros, each built for itself (default 10)",
    )


def pytest_report_header(config: pytest.Config) -> list[str]:
    return [
        f"spikeloop: seed {config.getoption('--seed')}, "
        f"icarus {'present' if ICARUS else 'absent'}, "
        f"shared data {'present' if SHARED.is_dir() else 'absent'}"
    ]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path not in LONGEST)  # stable
    no_data = f"shared data is absent: no folder '{SHARED.name}' beside the repository"
    for item in items:
        if item.get_closest_marker("icarus") and not ICARUS:
            item.add_marker(pytest.mark.skip(reason=NO_ICARUS))
        if item.get_closest_marker("shared") and not SHARED.is_dir():
            item.add_marker(pytest.mark.skip(reason=no_data))


@pytest.fixture(scope="session", autouse=True)
def own_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A working directory for each process of tests.

    A command without ``-o`` writes into ``build/`` of it, where two processes would meet.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("work"))
        yield


@pytest.fixture(scope="session")
def seed(request: pytest.FixtureRequest) -> int:
    """The run's seed, printed in its header: ``pytest --seed N``."""
    return int(request.config.getoption("--seed"))


@pytest.fixture
def rng(seed: int) -> np.random.Generator:
    """A generator of its own for each test, from the run's seed."""
    return np.random.default_rng(seed)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of shared data sets (``mnist/`` and others). Without it the test is skipped."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip(f"shared data is absent: no folder '{SHARED.name}/data' beside the repository")
    return folder
