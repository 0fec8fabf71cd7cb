"""The pages say what the code says: generated pages are current, links and make targets exist."""

import re
from pathlib import Path

import numpy as np
import pytest

from spikeloop.cosim.pages import frames as frames_page
from spikeloop.cosim.pages import memory_map as memory_map_page
from spikeloop.pysim.chip.memory_map import COUNTERS, MemoryMap
from spikeloop.pysim.chip.params import PRESETS
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.network.elements import Edge, Input, Population, StateUse
from spikeloop.pysim.network.graph import Network
from tests.conftest import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def small_network(states: bool) -> Network:
    second = {"current": StateUse.NEW, "adaptation": StateUse.OLD} if states else {}
    return Network(
        name="small",
        inputs=(Input(name="x", size=4),),
        steps=2,
        output="out",
        current_bits=24 if states else 0,
        adaptation_bits=16 if states else 0,
        populations=(Population.make("out", 3, v_th=2, start=1, weight_bits=4, **second),),
        edges=(Edge(source="x", target="out", weights=np.ones((4, 3), np.int32)),),
    )


def test_memory_map_page_is_current() -> None:
    assert page("memory_map.md") == memory_map_page.page(), "run `make docs`"


def test_frames_page_is_current() -> None:
    assert page("frames.md") == frames_page.page(), "run `make docs`"


def test_memory_map_page_has_every_register_memory_and_preset() -> None:
    text = page("memory_map.md")
    for name, chip in PRESETS.items():
        _, _, section = text.partition(f"## Memories of preset `{name}`")
        table = MemoryMap(chip)
        assert all(
            f"| {m.base:#x} | `{m.name}` | {m.rows:,} | {m.width:,} |" in section
            for m in table.memories.values()
        )
        assert all(f"| {r.address:#04x} | `{r.name}` |" in text for r in table.registers.values())
    _, _, section = text.partition("## With synaptic currents and adaptations")
    assert all(f" | `{name}` | " in section for name in ("synaptic", "adaptive", "y", "a"))


def test_formats_page_has_every_array_of_the_network_file() -> None:
    from safetensors.numpy import load

    rows = [line for line in page("formats.md").splitlines() if line.startswith("|")]
    for key, array in load(small_network(states=True).to_bytes()).items():
        name = key.replace("out.", "POPULATION.").replace("edge0", "edgeN")
        row = next((row for row in rows if f"`{name}`" in row), None)
        assert row is not None, f"{name} is not on the page"
        assert f"| {array.dtype.name} |" in row, f"dtype of {name} is {array.dtype}"


def test_formats_page_has_every_counter() -> None:
    assert all(
        f"| `{name}` | {meaning} |" in page("formats.md") for name, meaning in COUNTERS.items()
    )


@pytest.mark.parametrize("states", [False, True])
def test_formats_page_has_every_file_and_key_of_the_bundle(states: bool, tmp_path: Path) -> None:
    import json

    chip = PRESETS["tiny"]
    if states:
        chip = chip.replace(current_bits=24, adaptation_bits=16)
    folder = pack(small_network(states), chip=chip).save(tmp_path / "image")
    text = page("formats.md")
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        file = re.escape(str(path.relative_to(folder)))
        assert re.search(rf"^    {file}\b", text, re.MULTILINE), path
    manifest = json.loads((folder / "manifest.json").read_text())
    core = manifest["cores"][0]
    keys = {
        *manifest,
        *manifest["network"],
        *core,
        *core["placement"],
        *core["sections"][0],
        *core["placement"]["inputs"][0],
        *core["placement"]["populations"][0],
        *core["placement"]["words"][0],
    }
    named = set(re.findall(r"[a-z_0-9]+", " ".join(re.findall(r"`([^`\n]+)`", text))))
    assert keys - named == set()


@pytest.mark.parametrize("path", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"<!--.*?-->", "", path.read_text(), flags=re.DOTALL)
    broken = [
        link
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
        if "://" not in link and not (path.parent / link).exists()
    ]
    assert broken == []


@pytest.mark.parametrize("path", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_make_targets_exist(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^    )make ([a-z-]+)", path.read_text(), re.MULTILINE))
    assert named - targets == set()


def test_makefile_describes_every_verb() -> None:
    text = (ROOT / "Makefile").read_text()
    verbs = set(re.search(r"^\.PHONY: (help .*)$", text, re.MULTILINE)[1].split())
    described = set(re.findall(r"^([a-z-]+):.*## \w", text, re.MULTILINE))
    assert verbs - {"check", "install"} == described
