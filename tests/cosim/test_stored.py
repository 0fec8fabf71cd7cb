"""Images beyond KEPT_BYTES are read from their folder as they run, with the same results.

A file that is damaged, or damaged after it was opened, is refused in one sentence.
"""

import io
import tarfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from spikeloop.cosim import backends
from spikeloop.cosim.backends import Parts, Pysim, open_backend
from spikeloop.cosim.compare import farm
from spikeloop.cosim.compare.chunk import Job
from spikeloop.cosim.compare.compare import Case, compare
from spikeloop.pysim.bundle import shares
from spikeloop.pysim.bundle.open import load_bundle
from spikeloop.pysim.bundle.program import Program, compile_program
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.image.folder import Stored
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.network.readout import Readout
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.pysim.mapping.test_partition import CHIP, stimulus
from tests.pysim.mapping.test_tiles import even_network


class Saved(NamedTuple):
    network: Network
    folder: Path
    stimulus: Stimulus


@pytest.fixture
def case(rng: np.random.Generator, tmp_path: Path) -> Saved:
    network = even_network(rng)
    program = compile_program(network, CHIP)
    assert isinstance(program, Program)
    return Saved(network, program.save(tmp_path / "program"), stimulus(rng, network))


def kept(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Folders are opened, and backends of parts kept, within ``size`` bytes of images."""
    monkeypatch.setattr(shares, "KEPT_BYTES", size)
    monkeypatch.setattr(backends, "KEPT_BYTES", size)


def open_program(folder: Path) -> tuple[Program, list[Image]]:
    """The program of a folder, and its images, each once."""
    program = load_bundle(folder)
    assert isinstance(program, Program)
    return program, list(program.folders().values())


def test_all_within_the_budget_is_in_memory(case: Saved) -> None:
    _, images = open_program(case.folder)
    assert len(images) > 5 and not any(isinstance(image.memories, Stored) for image in images)
    size = sum(rows.nbytes for image in images for rows in image.memories.values())
    assert sum(image.bytes for image in images) == size < shares.KEPT_BYTES


def test_the_first_images_are_kept(case: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, images = open_program(case.folder)
    kept(monkeypatch, images[0].bytes + images[1].bytes)
    program, again = open_program(case.folder)
    assert [isinstance(image.memories, Stored) for image in again] == [
        False,
        False,
        *[True] * (len(images) - 2),
    ]
    for one, other in zip(images, again, strict=True):
        assert list(one.memories) == list(other.memories)
        for name, rows in one.memories.items():
            np.testing.assert_array_equal(other.memories[name], rows, err_msg=name)
    copy = program.save(case.folder.parent / "copy")
    assert {p.name: p.stat().st_size for p in copy.rglob("*")} == {
        p.name: p.stat().st_size for p in case.folder.rglob("*")
    }
    assert whole.facts() == program.facts()


@pytest.mark.parametrize("size", [0, 4000])
def test_backends_agree_on_what_they_read(
    case: Saved, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    kept(monkeypatch, size)
    program, images = open_program(case.folder)
    assert any(isinstance(image.memories, Stored) for image in images)
    result = compare(
        Case(case.network, case.stimulus),
        ["golden", "pysim", "verilator"],
        lambda name: open_backend(name, case.network, program),
    )
    neurons = sum(p.size for p in case.network.populations)
    print(f"{result.neuron_ticks:,} neuron-ticks, {result.different} different")
    assert result.neuron_ticks == case.stimulus.samples * case.network.steps * neurons
    assert not result.failures()


def test_backends_beyond_the_budget_are_closed(
    case: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, images = open_program(case.folder)
    kept(monkeypatch, images[0].bytes + images[1].bytes)
    opened, closed = list[Image](), list[Image]()

    class Watched(Pysim):
        def __init__(self, image: Image) -> None:
            super().__init__(image)
            opened.append(image)

        def close(self) -> None:
            closed.append(self.core.image)

    with Parts("pysim", program, Watched) as parts:
        first = parts.run(case.stimulus)
        assert len(opened) == len(images) and len(closed) == len(images) - 2
        second = parts.run(case.stimulus)
        assert len(opened) == 2 * len(images) - 2
        assert set(closed).isdisjoint(images[:2])
    assert sorted(map(id, opened)) == sorted(map(id, closed))
    for name, spikes in first.spikes.items():
        np.testing.assert_array_equal(second.spikes[name], spikes)


def spoil(folder: Path) -> None:
    """Flip a bit of the last image of ``folder``."""
    file = max(folder.glob("part*/core0/synapse.rows"), key=lambda f: int(f.parts[-3][4:]))
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def test_damage_is_found_when_the_folder_is_opened(
    case: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept(monkeypatch, 0)
    spoil(case.folder)
    with pytest.raises(InputError, match=r"synapse\.rows of image .*must have the SHA-256"):
        load_bundle(case.folder)


def test_damage_is_found_when_a_part_runs(case: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    kept(monkeypatch, 0)
    program, _ = open_program(case.folder)
    spoil(case.folder)
    with pytest.raises(InputError, match=r"synapse\.rows of image .*must have the SHA-256"):
        compare(
            Case(case.network, case.stimulus),
            ["golden", "pysim"],
            lambda name: open_backend(name, case.network, program),
        )


def test_a_worker_of_a_cluster_keeps_the_folder(
    case: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker unpacks a folder, which must be there as long as its parts run."""
    kept(monkeypatch, 0)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(case.folder, "image")
    kit = {
        "network": case.network.to_bytes(),
        "image": packed.getvalue(),
        "names": ["golden", "pysim"],
        "code": farm._code(),
        "key": "of this test",
    }
    part = slice(0, case.stimulus.samples)
    job = Job(part, case.stimulus, None, True, frozenset(), Readout.of(case.network))
    line = farm.do(kit, job)
    crew = farm._local.crews.pop("of this test")
    folder = Path(crew._folder.name)
    assert folder.exists() and [pair["first"] for pair in line["pairs"]] == [None]
    crew.close()
    assert not folder.exists()
