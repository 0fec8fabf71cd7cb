"""The build cache: what is damaged is made again, never loaded; what was killed leaves nothing."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spikeloop.cosim.benches import runner
from spikeloop.cosim.board import virtual
from spikeloop.cosim.macros import pim
from spikeloop.cosim.macros.port import build as macro
from spikeloop.cosim.verilator import build as builder
from spikeloop.cosim.verilator import cache
from spikeloop.cosim.verilator.cache import cached, clear, clear_unused, entries, on_progress, stage
from spikeloop.pysim.chip.params import preset
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.pim.layer import PimParams
from tests.conftest import ROOT
from tests.cosim import FAST_BUILD

NAME = "text-0123"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "spikeloop"


@pytest.fixture
def stages() -> Iterator[list[tuple[str, float | None]]]:
    """What builds report."""
    reported: list[tuple[str, float | None]] = []
    on_progress(lambda text, seconds: reported.append((text, seconds)))
    yield reported
    on_progress(None)


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the user's entries of one chip: its library, Verilog and runtime."""
    chip, copy = preset("tiny"), tmp_path_factory.mktemp("cache")
    runtime = builder.runtime_of(builder.default_compiler(), FAST_BUILD)[0]
    for file in (builder.build(chip, FAST_BUILD), builder.verilog_of(chip), runtime):
        shutil.copytree(file.parent, copy / "spikeloop" / file.parent.name)
    return copy


@pytest.fixture
def chip_cache(shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache is that copy."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(shared_cache))
    return shared_cache


class Maker:
    """Fills an entry with three files; counts how often."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, folder: Path) -> None:
        self.calls += 1
        (folder / "a.so").write_bytes(bytes(range(256)) * 8)
        (folder / "b.log").write_text("built\n")
        (folder / "sub").mkdir()
        (folder / "sub" / "c.h").write_text("#pragma once\n")


# -- damage ------------------------------------------------------------------------------------


def flip(path: Path) -> None:
    """Flip one bit, keep size and times."""
    times = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES: dict[str, Callable[[Path], None]] = {
    "bit flipped": flip,
    "truncated": truncate,
    "emptied": lambda path: os.truncate(path, 0),
    "removed": Path.unlink,
    "a folder": replace_by_folder,
    "a loose link": lambda path: (path.unlink(), path.symlink_to("nowhere"))[0],
    "one more beside": lambda path: shutil.copy(path, path.with_name("extra")) and None,
}
FILES = ("a.so", "b.log", "sub/c.h", cache.DIGEST)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", FILES)
def test_a_damaged_entry_is_made_again(file: str, damage: str) -> None:
    make = Maker()
    entry = cached(NAME, make)
    want = {path: path.read_bytes() for path in entry.rglob("*") if path.is_file()}
    DAMAGES[damage](entry / file)
    cache._verified.clear()  # as in the next process
    assert cached(NAME, make) == entry
    assert make.calls == 2
    assert {path: path.read_bytes() for path in entry.rglob("*") if path.is_file()} == want
    cached(NAME, make)
    assert make.calls == 2


def test_damage_is_seen_by_the_process_that_verified_the_entry() -> None:
    make = Maker()
    entry = cached(NAME, make)
    cached(NAME, make)
    truncate(entry / "a.so")
    cached(NAME, make)
    assert make.calls == 2


@pytest.mark.parametrize("content", [None, "", "one file"])
def test_a_folder_without_a_digest_is_no_entry(folder: Path, content: str | None) -> None:
    """Of a version before digests, or a file where the entry should be."""
    folder.mkdir()
    if content is None:
        (folder / NAME).write_text("a file")
    else:
        (folder / NAME).mkdir()
        (folder / NAME / "a.so").write_text(content)
    make = Maker()
    assert (cached(NAME, make) / "b.log").read_text() == "built\n"
    assert make.calls == 1


def test_unchanged_files_are_read_once_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    make = Maker()
    cached(NAME, make)
    cached(NAME, make)
    monkeypatch.setattr(cache, "_digest", lambda entry: pytest.fail("read again"))
    cached(NAME, make)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "damage"),
    [("chip.so", "bit flipped"), ("chip.so", "truncated"), ("model.h", "removed")],
)
def test_a_damaged_chip_is_built_again_not_loaded(
    file: str, damage: str, chip_cache: Path, stages: list[tuple[str, float | None]]
) -> None:
    library = builder.build(preset("tiny"), FAST_BUILD)
    assert len(entries()) == 3 and library.is_relative_to(chip_cache)
    size = library.stat().st_size
    DAMAGES[damage](library.with_name(file))
    cache._verified.clear()
    stages.clear()
    assert builder.build(preset("tiny"), FAST_BUILD) == library
    assert library.stat().st_size == size
    begun = [text for text, seconds in stages if seconds is None]
    assert len(begun) == 2 and begun[0] == "verilate chip" and "compile the model" in begun[1]


# -- keys --------------------------------------------------------------------------------------

BUILDS: dict[str, Callable[[], object]] = {
    "chip": lambda: builder.build(preset("tiny")),
    "mesh": lambda: builder.build(preset("tiny").replace(mesh_width=2)),
    "pim": lambda: pim.PIM.library(PimParams()),
    "board": lambda: virtual.build_board(preset("tiny")),
    "runtime": lambda: builder.runtime_of(builder.default_compiler(), builder.Options()),
    "cocotb": lambda: runner.build("verilator", [ROOT / "hdl/lib/skid.v"], "spikeloop_skid"),
}


class Asked(Exception):
    """The name of the entry that a build asked for."""


@pytest.mark.parametrize("kind", BUILDS)
def test_another_processor_has_another_key(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(name: str, make: object) -> Path:
        raise Asked(name)

    for module in (builder, macro, virtual, runner):
        monkeypatch.setattr(module, "cached", ask)

    def name(processor: str) -> str:
        monkeypatch.setattr(builder, "cpu", lambda: processor)
        builder.toolchain.cache_clear()
        with pytest.raises(Asked) as asked:
            BUILDS[kind]()
        return str(asked.value)

    names = [name(processor) for processor in ("one", "other", "one")]
    builder.toolchain.cache_clear()
    assert names[0] == names[2] != names[1]
    assert names[0].partition("-")[0] == {"mesh": "chip"}.get(kind, kind)


# -- builders that were killed -----------------------------------------------------------------

SLOW_BUILDER = """
import time
from spikeloop.cosim.verilator.cache import cached
def make(folder):
    (folder / "part").write_text("half")
    print("building", flush=True)
    time.sleep(60)
cached("text-0123", make)
"""


@pytest.fixture
def killed(folder: Path) -> list[str]:
    """What a builder of NAME leaves that is killed in the middle."""
    command = [sys.executable, "-c", SLOW_BUILDER]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout and process.stdout.readline() == b"building\n"
        process.send_signal(signal.SIGKILL)
    left = sorted(path.name for path in folder.iterdir())
    assert len(left) == 2 and left[0].startswith(f".{NAME}-") and left[1] == f"{NAME}.lock"
    return left


@pytest.mark.parametrize("name", [NAME, "other-4567"])
def test_what_a_killed_builder_left_is_swept(folder: Path, killed: list[str], name: str) -> None:
    """By the next build, of the same entry or of another."""
    cached(name, Maker())
    assert [path.name for path in folder.iterdir()] == [name]


def test_a_lock_that_nobody_holds_is_swept(folder: Path) -> None:
    """Of a builder killed between its lock and its folder."""
    folder.mkdir()
    (folder / "other-4567.lock").touch()
    cached(NAME, Maker())
    assert [path.name for path in folder.iterdir()] == [NAME]


def test_who_waited_for_a_removed_lock_holds_a_new_one(
    folder: Path, stages: list[tuple[str, float | None]]
) -> None:
    folder.mkdir()
    entered, leave = threading.Event(), threading.Event()

    def wait() -> None:
        with cache._locked(folder, NAME):
            entered.set()
            leave.wait(10)

    waiter = threading.Thread(target=wait)
    with cache._locked(folder, NAME):
        waiter.start()
        assert not entered.wait(0.3)
    assert entered.wait(10)
    with pytest.raises(BlockingIOError), cache._locked(folder, NAME, wait=False):
        pass
    leave.set()
    waiter.join()
    assert [text for text, _ in stages] == [f"wait for the process that builds {NAME}"] * 2
    assert list(folder.iterdir()) == []


def test_a_living_builder_keeps_its_folder(folder: Path) -> None:
    """A build inside a build sweeps; what is being built stays."""

    def make(temporary: Path) -> None:
        (temporary / "outer").write_text("1")
        cached("inner-1", Maker())
        assert (temporary / "outer").exists()
        assert (folder / f"{NAME}.lock").exists()

    assert (cached(NAME, make) / "outer").exists()
    assert sorted(path.name for path in folder.iterdir()) == ["inner-1", NAME]


def test_a_failed_build_leaves_nothing(folder: Path) -> None:
    def make(temporary: Path) -> None:
        (temporary / "a").write_text("1")
        raise RuntimeError("the tool failed")

    with pytest.raises(RuntimeError, match="the tool failed"):
        cached(NAME, make)
    assert list(folder.iterdir()) == []


RACER = """
import sys, time
from pathlib import Path
from spikeloop.cosim.verilator.cache import cached
def make(folder):
    with open(sys.argv[1], "a") as log:
        log.write("made\\n")
    time.sleep(0.2)
    (folder / "a").write_text("whole")
for n in range(5):
    assert (cached(f"race-{n}", make) / "a").read_text() == "whole"
"""


def test_builders_of_one_entry_wait_for_each_other(folder: Path, tmp_path: Path) -> None:
    """Four processes race for five entries: each is made once, and no lock stays."""
    log = tmp_path / "log"
    command = [sys.executable, "-c", RACER, str(log)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    racers = [subprocess.Popen(command, env=environment) for _ in range(4)]
    assert [racer.wait() for racer in racers] == [0] * 4
    assert log.read_text() == "made\n" * 5
    assert sorted(path.name for path in folder.iterdir()) == [f"race-{n}" for n in range(5)]


# -- a disk that refuses -----------------------------------------------------------------------


def full_disk(folder: Path) -> None:
    Path("/dev/full").write_text("no space")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is a device of Linux")
def test_a_full_disk_is_one_sentence(folder: Path) -> None:
    with pytest.raises(InputError, match=r"cache folder must be .*No space left.*XDG_CACHE_HOME"):
        cached(NAME, full_disk)
    assert list(folder.iterdir()) == []


def test_a_tool_that_finds_no_space_is_the_same_sentence() -> None:
    script = "import sys; sys.exit('x.o: No space left on device')"
    with pytest.raises(InputError, match=r"cache folder must be .*No space left.*XDG_CACHE_HOME"):
        cached(NAME, lambda to: builder.call([sys.executable, "-c", script], {}, to / "log"))


@pytest.mark.parametrize("place", ["/dev/null", "/proc"])
def test_a_cache_that_cannot_be_made_is_one_sentence(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not Path(place).exists():
        pytest.skip(f"{place} is a place of Linux")
    monkeypatch.setenv("XDG_CACHE_HOME", place)
    with pytest.raises(InputError, match=f"not '{place}/spikeloop' .*: set XDG_CACHE_HOME"):
        cached(NAME, Maker())
    assert entries() == []


def test_a_read_only_cache_gives_its_entries_and_takes_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cached(NAME, Maker())

    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    for name in ("utime", "mkdir", "unlink", "rename"):
        monkeypatch.setattr(os, name, refuse)
    monkeypatch.setattr(cache, "_lock_file", refuse)
    assert cached(NAME, refuse).name == NAME
    with pytest.raises(InputError, match=r"cache folder must be .*Read-only file system"):
        cached("other-4567", refuse)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere: run as another user")
def test_a_cache_of_another_user_is_one_sentence(folder: Path) -> None:
    cached(NAME, Maker())
    folder.chmod(0o555)
    try:
        assert cached(NAME, Maker()).name == NAME
        with pytest.raises(InputError, match=r"cache folder must be .*Permission denied"):
            cached("other-4567", Maker())
    finally:
        folder.chmod(0o755)


def test_errors_of_the_sources_are_their_own() -> None:
    """A missing source is no fault of the cache."""
    with pytest.raises(FileNotFoundError):
        cached(NAME, lambda folder: Path("/nowhere/chip.v").read_text())


# -- list and clear ----------------------------------------------------------------------------


def test_entries_say_what_they_are(folder: Path) -> None:
    assert entries() == []
    cached("chip-1", Maker())
    cached("verilog-2", Maker())
    os.utime(folder / "verilog-2" / cache.DIGEST, (1000, 1000))
    first, second = entries()
    assert (first.name, first.kind, second.name, second.kind) == (
        "chip-1",
        "chip",
        "verilog-2",
        "verilog",
    )
    assert first.bytes == second.bytes > 2048
    assert abs(first.used - time.time()) < 60 and second.used == 1000
    cached("verilog-2", Maker())  # opened: used now
    assert [entry.name for entry in entries()] == ["verilog-2", "chip-1"]


def test_clear_removes_entries_and_leftovers(folder: Path, killed: list[str]) -> None:
    for name in ("chip-1", "chip-2", "verilog-3"):
        cached(name, Maker())
    size = entries()[0].bytes
    assert clear(["chip-1"]) == size
    assert sorted(entry.name for entry in entries()) == ["chip-2", "verilog-3"]
    assert clear() == 2 * size
    assert list(folder.iterdir()) == []
    assert clear() == 0


def test_unused_entries_are_removed(folder: Path) -> None:
    for name in ("chip-1", "chip-2"):
        cached(name, Maker())
    hour_ago = time.time() - 3600
    os.utime(folder / "chip-2" / cache.DIGEST, (hour_ago, hour_ago))
    assert clear_unused(7200) == (0, 0)
    count, freed = clear_unused(1800)
    assert count == 1 and freed == entries()[0].bytes
    assert [entry.name for entry in entries()] == ["chip-1"]


def test_clear_refuses_names_that_are_not_there(tmp_path: Path) -> None:
    cached("chip-1", Maker())
    (tmp_path / "precious").write_text("x")
    for name in ("chip-2", "../precious", "."):
        with pytest.raises(InputError, match="must be one of"):
            clear([name])
    assert (tmp_path / "precious").exists() and len(entries()) == 1


def test_clear_leaves_what_is_being_built(folder: Path) -> None:
    """A damaged entry is being made again."""
    make = Maker()
    truncate(cached(NAME, make) / "a.so")

    def again(temporary: Path) -> None:
        make(temporary)
        assert clear() == 0
        assert (temporary / "b.log").exists() and (folder / NAME).exists()

    assert (cached(NAME, again) / "a.so").stat().st_size == 2048


# -- progress ----------------------------------------------------------------------------------


def test_stages_are_reported_with_their_time(stages: list[tuple[str, float | None]]) -> None:
    with stage("outer"), stage("inner"):
        time.sleep(0.01)
    texts, seconds = zip(*stages, strict=True)
    assert texts == ("outer", "inner", "inner", "outer")
    assert seconds[:2] == (None, None) and 0.01 <= seconds[2] <= seconds[3]


def test_without_a_callback_builds_are_silent(capfd: pytest.CaptureFixture[str]) -> None:
    with stage("verilate"):
        pass
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("optimise", [True, False])
def test_every_source_is_in_one_piece(
    optimise: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builder.os, "cpu_count", lambda: 2)
    sizes = {"Vchip__0": 900_000, "Vchip__1": 500_000, "Vchip__1__Slow": 9, "harness": 40_000}
    for name, size in sizes.items():
        (tmp_path / f"{name}.cpp").write_text("/" * size)
    pieces = builder._pieces(tmp_path, builder.Options(optimise=optimise), once="-O1")
    levels = {
        line.split('"')[1].removesuffix(".cpp"): level
        for piece, level in pieces.items()
        for line in piece.read_text().splitlines()
    }
    joined = [line for piece in pieces for line in piece.read_text().splitlines()]
    assert len(joined) == len(sizes) and set(levels) == set(sizes)
    assert levels["Vchip__0"] == ("-O3" if optimise else "-O0")
    assert levels["Vchip__1__Slow"] == ("-O1" if optimise else "-O0")
    assert len(pieces) == (3 if optimise else 1)  # one for each processor


def test_what_runs_once_is_compiled_in_pieces_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mesh of many cores has so much of it that one piece takes all memory."""
    monkeypatch.setattr(builder, "ONCE_PIECE", 1000)
    for name in ("Vchip__0", *(f"Vchip__{n}__Slow" for n in range(6))):
        (tmp_path / f"{name}.cpp").write_text("/" * 500)
    pieces = builder._pieces(tmp_path, builder.Options(), once="-O0")
    once = [p.read_text().splitlines() for p, level in pieces.items() if level == "-O0"]
    assert [len(lines) for lines in once] == [2, 2, 2]
    assert len({line for lines in once for line in lines}) == 6
