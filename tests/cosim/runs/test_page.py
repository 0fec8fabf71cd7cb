"""The page of a run in a real browser: clicked through, it shows what the backends computed."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeloop.cosim import backends
from spikeloop.cosim.cli import main
from spikeloop.cosim.flow.imports import write_import
from spikeloop.cosim.runs.folder import JOURNAL, SUMMARY, Run, cores
from spikeloop.cosim.runs.page import page_data
from spikeloop.golden.interchange.modules.read import import_module
from spikeloop.golden.reference import integer
from spikeloop.pysim.bundle.open import map_network
from spikeloop.pysim.chip.params import preset
from spikeloop.pysim.cost.figures import figures
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.cosim.conftest import Small
from tests.make.journals import read_journal, write_journal

CHROMIUM = next(
    (
        path
        for name in ("chromium", "chromium-browser", "google-chrome")
        if (path := shutil.which(name))
    ),
    None,
)


@pytest.fixture(scope="module")
def runs(small: Small, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two runs of the small net with pages: one equal, one with a wrong threshold in a chip."""

    class Wrong(backends.Pysim):
        def __init__(self, image) -> None:
            super().__init__(image)
            self.core.neurons.p["v_th"][:, 0] += 2

    folder, found = tmp_path_factory.mktemp("runs"), {}
    with pytest.MonkeyPatch.context() as patch:
        for name, status in (("equal", 0), ("different", 1)):
            if status:
                patch.setattr(backends, "Pysim", Wrong)
            for arguments, expected in (
                (
                    [
                        "compare",
                        small.folder / "image",
                        "--backends",
                        "golden,pysim",
                        "--keep",
                        "1,5",
                        "-o",
                        folder / name,
                    ],
                    status,
                ),
                (["report", folder / name], 0),
            ):
                with pytest.raises(SystemExit) as end:
                    main([str(a) for a in arguments])
                assert end.value.code == expected
            found[name] = folder / name
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no browser is installed: sudo apt-get install chromium")
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install -e '.[test]'"
    )
    with sync_api.sync_playwright() as player:
        opened = player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page that fails the test if a script of it fails, or if it asks anybody for anything."""
    opened, wrong = browser.new_page(), []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on(
        "request",
        lambda request: None if request.url.startswith("file:") else wrong.append(request.url),
    )
    yield opened
    opened.close()
    assert not wrong


def tab(page: Any, name: str) -> None:
    page.click(f"#tab-{name}")
    assert [
        view.get_attribute("id") for view in page.query_selector_all(".view") if view.is_visible()
    ] == [f"view-{name}"]


def test_an_equal_run_clicked_through(page: Any, runs: dict[str, Path], small: Small) -> None:
    truth = integer.run(small.network, small.stimulus.dense(small.network))
    page.goto((runs["equal"] / "report.html").as_uri())
    assert page.inner_text("#verdict") == "0 differences"
    assert "360" in page.inner_text("#view-summary .figures")
    tab(page, "activity")
    row = page.inner_text("#layers tr[data-layer=hidden1]").split()
    assert row[:3] == ["hidden1", "9", f"{truth.spikes['hidden1'].sum() / 6:.1f}"]
    assert row[4] == str(int((truth.spikes["hidden1"].sum(axis=(0, 1)) == 0).sum()))
    tab(page, "samples")
    assert [b.inner_text() for b in page.query_selector_all("#sample-bar button")] == [
        "sample 1",
        "sample 5",
    ]
    page.click("#sample-bar button[data-sample='5']")
    assert f"Sample 5: a {small.stimulus.labels[5]}" in page.inner_text("#sample-about")
    for population, neuron, step in (("hidden1", 7, 3), ("output", 2, 4)):
        page.select_option("#population", population)
        page.select_option("#neuron", str(neuron))
        page.hover(f"#membrane rect[data-step='{step}']")
        v, fired = (
            truth.membranes[population][5, step, neuron],
            truth.spikes[population][5, step, neuron],
        )
        for name in ("golden", "pysim"):
            assert f"{name} {v}{' (spike)' if fired else ''}," in page.inner_text("#readout")
        assert (
            f"threshold {small.network.population(population).v_th[0, neuron]}"
            in page.inner_text("#readout")
        )
    assert "pysim: the same marks" in page.inner_text("#raster-keys")
    tab(page, "mapping")
    page.click(".core[data-core='0']")
    place = small.image.placement
    assert f"{place.columns} of {place.chip.columns}" in page.inner_text("#core-table")
    share = f"{100 * (9 * 4 * 12 + 3 * 4 * 9) / (32 * 64):.1f} %"
    assert share in page.inner_text("#core-table") and share in page.inner_text("#mapping-title")
    assert figures(small.image).text()["latency"] in page.inner_text("#mapping-about")
    tab(page, "cycles")
    assert "pysim (predicted)" in page.inner_text("#cycles-keys")
    assert page.query_selector_all("#cycles-plot circle")
    tab(page, "answers")
    cells = {
        cell.get_attribute("data-at"): int(cell.get_attribute("data-n"))
        for cell in page.query_selector_all("#confusion td[data-n]")
    }
    answers = truth.spikes["output"].sum(axis=1).argmax(axis=1)
    assert sum(cells.values()) == 6
    assert all(
        n == int(((small.stimulus.labels == int(at[0])) & (answers == int(at[2]))).sum())
        for at, n in cells.items()
    )
    at = next(at for at, n in cells.items() if n)
    page.click(f"#confusion td[data-at='{at}']")
    assert re.search(r": \d+ samples?: \d", page.inner_text("#answers-of"))
    tab(page, "differences")
    assert "Nothing differs" in page.inner_text("#view-differences")


def test_a_difference_is_shown_where_it_is(page: Any, runs: dict[str, Path]) -> None:
    first = json.loads((runs["different"] / SUMMARY).read_text())["pairs"][0]["first"]
    page.goto((runs["different"] / "report.html").as_uri() + "#differences")
    assert page.inner_text("#verdict") != "0 differences"
    text = page.inner_text("#view-differences")
    assert f"sample {first['sample']}, tick {first['tick']} (step {first['step']})" in text
    assert (
        f"population {first['population']}, neuron {first['neuron']}" in text
        and "minimal stimulus" in text
    )
    page.click("button.show")
    assert page.is_visible("#view-samples")
    assert (page.input_value("#population"), page.input_value("#neuron")) == (
        first["population"],
        str(first["neuron"]),
    )
    page.hover(f"#membrane rect[data-step='{first['step']}']")
    golden, pysim = re.search(
        r"golden (.*?), pysim (.*?), threshold", page.inner_text("#readout")
    ).groups()
    assert golden != pysim
    assert page.query_selector_all("#raster circle")


def test_float_integer_and_rtl_side_by_side(
    page: Any, tmp_path: Path, rng: np.random.Generator
) -> None:
    """An imported net: the table's numbers are those of the float model, golden and the backend."""
    snn = pytest.importorskip(
        "snntorch", reason="package snntorch is not installed: pip install snntorch"
    )
    import torch

    torch.manual_seed(1)
    layers = [torch.nn.Linear(9, 7), torch.nn.Linear(7, 4)]
    leaky = [snn.Leaky(0.9, threshold=0.3, init_hidden=True) for _ in layers]
    net = torch.nn.Sequential(layers[0], leaky[0], layers[1], leaky[1]).eval()
    imported = import_module(net, (9,), steps=6, bits=3, groups=2)
    network, image = imported.network, tmp_path / "image"
    write_import(imported, "tiny", image)
    spikes = (rng.random((30, 6, 9)) < 0.4).astype(np.uint8)
    Stimulus.pack({"input": spikes}, rng.integers(0, 2, 30)).save(image / "stimulus.npz")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("spikeloop.cosim.compare.result.CHIPS", ("pysim",))
        patch.setattr("spikeloop.cosim.runs.columns.CHIPS", ("pysim",))
        for arguments in (
            ["compare", image, "--backends", "golden,pysim", "-o", tmp_path / "run"],
            ["report", tmp_path / "run"],
        ):
            with pytest.raises(SystemExit) as end:
                main([str(a) for a in arguments])
            assert end.value.code == 0
    summary = json.loads((tmp_path / "run" / SUMMARY).read_text())
    truth = integer.run(network, {"input": spikes})
    twin = imported.floats.run({"input": torch.as_tensor(spikes.astype(np.float64))})
    page.goto((tmp_path / "run" / "report.html").as_uri())
    cells = [
        [cell.inner_text() for cell in row.query_selector_all("td")]
        for row in page.query_selector_all("#floats tr")[1:]
    ]
    score = {key: f"{value:.2%}" for key, value in summary["accuracy"].items()}
    assert cells[0] == ["accuracy", score["float"], "", score["integer"], "", score["rtl"]]
    assert cells[1][0] == "answers that differ" and cells[1][4] == "0 of 30"
    assert len(cells) == 2 + len(network.populations)
    different = 0
    for population, row in zip(network.populations, cells[2:], strict=True):
        name = population.name
        real, whole = twin.spikes[network.metadata["nodes"][name]].numpy(), truth.spikes[name]
        wrong, rate = int((real != whole).sum()), f"{whole.mean():.4f}"
        share = f" ({wrong / whole.size:.2%})" if wrong else ""
        between = f"{wrong:,} of {whole.size:,}{share}"
        assert row == [f"spikes of {name}", f"{real.mean():.4f}", between, rate, "0", rate]
        different += wrong
    assert different > 0  # of 3 bits
    assert "most spikes of 2 groups of 2 neurons" in page.inner_text("main > p")


def test_the_page_is_the_run_and_nothing_else(runs: dict[str, Path], tmp_path: Path) -> None:
    """A copy of the folder alone gives the same bytes; other backends show what they computed."""
    copy = Path(shutil.copytree(runs["different"], tmp_path / "copy"))
    before = (copy / "report.html").read_bytes()
    with pytest.raises(SystemExit):
        main(["report", str(copy)])
    assert (copy / "report.html").read_bytes() == before
    run, summary = Run.load(copy)
    data = page_data(run, summary)
    chunk = run.chunks[0]
    sample = next(s for s in data["samples"] if s["different"])
    kept = chunk.kept[sample["n"]]
    rows = sample["different"]["pysim"]["hidden1"]
    assert {(step, neuron) for step, neuron, *_ in rows} >= set(
        map(
            tuple,
            np.argwhere(kept.membranes[0]["hidden1"] != kept.membranes[1]["hidden1"]).tolist(),
        )
    )
    assert all(v == kept.membranes[1]["hidden1"][step, neuron] for step, neuron, _, v, *_ in rows)


def test_what_is_too_large_is_left_out(
    runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, summary = Run.load(runs["equal"])
    samples = page_data(run, summary)["samples"]
    size = sum(
        len(text)
        for sample in samples
        for texts in (sample["inputs"], sample["spikes"], *sample["states"].values())
        for text in texts.values()
    )
    monkeypatch.setattr("spikeloop.cosim.runs.page.MOST_BYTES", size)
    data = page_data(run, summary)
    assert [s["n"] for s in data["samples"]] == [1] and data["left_out"] == [5]


def test_texts_of_a_network_cannot_break_out(small: Small, tmp_path: Path) -> None:
    """Names are identifiers, but a journal may be anybody's."""
    with pytest.raises(SystemExit):
        main(
            [
                "compare",
                str(small.folder / "image"),
                "--backends",
                "golden,pysim",
                "-o",
                str(tmp_path),
            ]
        )
    head, *rest = read_journal(tmp_path / JOURNAL)
    text = json.dumps(head).replace('"name": "small"', '"name": "</script><script>x"')
    write_journal(tmp_path / JOURNAL, [json.loads(text), *rest])
    with pytest.raises(SystemExit) as end:
        main(["report", str(tmp_path)])
    assert end.value.code == 0
    assert "</script><script>x" not in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    "spoil, words",
    [
        (shutil.rmtree, "must be a folder that spikeloop compare or sim wrote"),
        (lambda folder: (folder / SUMMARY).unlink(), "must be ended"),
        (lambda folder: (folder / SUMMARY).write_text("[]"), "must be ended"),
        (
            lambda folder: write_journal(folder / JOURNAL, [{"format": "other"}, {}]),
            "must be of a spikeloop run",
        ),
        (lambda folder: (folder / JOURNAL).write_text("no journal\n"), "must be lines of JSON"),
    ],
)
def test_what_is_no_run_is_refused(
    runs: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str], spoil: Any, words: str
) -> None:
    copy = Path(shutil.copytree(runs["equal"], tmp_path / "copy"))
    (copy / "report.html").unlink()
    spoil(copy)
    capfd.readouterr()
    with pytest.raises(SystemExit) as end:
        main(["report", str(copy)])
    err = capfd.readouterr().err.strip()
    assert end.value.code == 2 and words in err and "\n" not in err
    assert not (copy / "report.html").exists()


def test_cores_are_those_of_the_mapping(small: Small) -> None:
    (core,) = cores(small.image)
    assert (core["axons"], core["axons_of"], core["columns_of"]) == (21, 32, 64)
    assert core["holds"] == {"hidden1": [9, 36, 12], "output": [3, 12, 9]}
    assert (core["synapses"], core["synapses_of"]) == (36 * 12 + 12 * 9, 32 * 64)
    mesh = map_network(small.network, preset("tiny,mesh_width=2,mesh_height=2"))
    held = [some for core in cores(mesh) for some in core["holds"].items()]
    assert {name: sum(size for other, (size, *_) in held if other == name) for name, _ in held} == {
        "hidden1": 9,
        "output": 3,
    }
