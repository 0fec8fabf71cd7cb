"""The charts of a page in a real browser: zoom, files to take away, colours; and what is expected.

A run against expected spikes with one planted difference is looked at, too.
"""

import base64
import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeloop.cosim.cli import main
from spikeloop.cosim.runs.folder import ORIGIN, SUMMARY, Run, ticks
from spikeloop.cosim.runs.measures import cycles_for
from spikeloop.cosim.runs.origin import commit, shown
from spikeloop.golden.reference import integer
from spikeloop.pysim.common.bits import pack
from spikeloop.pysim.cost.cycles import breakdown
from spikeloop.pysim.model.core import Core
from spikeloop.pysim.traces.expected import Expected
from tests.cosim.conftest import Small
from tests.cosim.runs.test_page import browser, page, point, tab

__all__ = ["browser", "page"]  # fixtures

SAMPLE, STEP, NEURON, FIRST = 4, 3, 1, 1
"""Where an expected spike is turned over, and the first step that is known."""


@pytest.fixture(scope="module")
def run(small: Small, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run against expected spikes, one of which no backend gives; sample 0 is kept."""
    folder = tmp_path_factory.mktemp("expected")
    spikes = integer.run(small.network, small.stimulus.dense(small.network)).spikes["output"]
    spikes[SAMPLE, STEP, NEURON] ^= 1
    Expected({"output": pack(np.asarray(spikes, np.uint8))}, FIRST).save(folder / "expected.npz")
    line = f"compare {small.folder / 'image'} --backends golden,pysim --keep 0 -o {folder / 'run'}"
    for command, status in (
        (f"{line} --expected {folder / 'expected.npz'}", 1),
        (f"report {folder / 'run'}", 0),
    ):
        with pytest.raises(SystemExit) as end:
            main(shlex.split(command))
        assert end.value.code == status
    return folder / "run"


def ranges(page: Any, chart: str) -> list[float]:
    found: list[float] = page.evaluate(
        "name => { const {x, y} = charts[name].scales; return [x.min, x.max, y.min, y.max]; }",
        chart,
    )
    return found


def test_zoom_move_and_back(page: Any, run: Path) -> None:
    page.goto((run / "report.html").as_uri())
    tab(page, "samples")
    whole = ranges(page, "membrane")
    point(page, "membrane", 1)
    page.mouse.down()
    point(page, "membrane", 3)
    page.mouse.up()
    inside = ranges(page, "membrane")
    assert inside[:2] == pytest.approx([1, 3], abs=0.05) and inside[2:] == pytest.approx(whole[2:])
    page.keyboard.down("Shift")
    point(page, "membrane", 2)
    page.mouse.down()
    point(page, "membrane", 1.5)
    page.mouse.up()
    page.keyboard.up("Shift")
    assert ranges(page, "membrane")[:2] == pytest.approx([1.5, 3.5], abs=0.1)
    page.click("#membrane [data-do=whole]")
    assert ranges(page, "membrane") == whole
    page.focus("#membrane .chart")
    page.keyboard.press("+")
    assert ranges(page, "membrane")[0] > whole[0]


def test_files_of_a_chart(page: Any, run: Path, small: Small) -> None:
    truth = integer.run(small.network, small.stimulus.dense(small.network))
    page.goto((run / "report.html").as_uri())
    tab(page, "samples")
    page.select_option("#population", "hidden1")
    page.select_option("#neuron", "7")
    with page.expect_download() as got:
        page.click("#membrane [data-do=csv]")
    rows = [line.split(",") for line in Path(got.value.path()).read_text().splitlines()]
    assert got.value.suggested_filename == "small-membrane.csv"
    assert rows[0][:3] == ["step", "golden membrane", "golden spike"]
    assert [int(row[1]) for row in rows[1:]] == truth.membranes["hidden1"][0, :, 7].tolist()
    with page.expect_download() as got:
        page.click("#raster [data-do=csv]")
    rows = [line.split(",") for line in Path(got.value.path()).read_text().splitlines()[1:]]
    golden = {(int(i), int(s)) for name, i, s, who in rows if (name, who) == ("hidden1", "golden")}
    assert golden == {(i, s) for s, i in np.argwhere(truth.spikes["hidden1"][0]).tolist()}
    with page.expect_download() as got:
        page.click("#raster [data-do=png]")
    assert Path(got.value.path()).read_bytes().startswith(b"\x89PNG")


def test_colours_and_what_readers_of_a_screen_hear(page: Any, run: Path) -> None:
    page.emulate_media(color_scheme="light")
    page.goto((run / "report.html").as_uri())
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.select_option("#theme-choice", "dark")
    dark = page.evaluate(ground)
    assert light != dark
    page.emulate_media(color_scheme="dark")
    page.select_option("#theme-choice", "light")
    assert page.evaluate(ground) == light
    bare = (
        "all => all.filter(one => one.getAttribute('role') !== 'img'"
        " || !one.querySelector('title')).length"
    )
    assert page.eval_on_selector_all("svg", "all => all.length") > 3
    assert page.eval_on_selector_all("svg", bare) == 0
    assert page.eval_on_selector_all(
        ".chart", "all => all.map(one => one.ariaLabel).every(Boolean)"
    )
    page.select_option("#theme-choice", "dark")
    assert page.evaluate(ground) == dark
    page.emulate_media(media="print")
    assert page.evaluate(ground) == light  # whatever is chosen
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert all(view.is_visible() for view in page.query_selector_all(".view"))
    assert not page.is_visible("nav") and not page.is_visible("#membrane .tools")


def test_a_long_number_is_not_cut(page: Any, run: Path) -> None:
    """Labels down to the least membrane of 24 bits have room, and wild values hide nothing."""
    page.goto((run / "report.html").as_uri())
    tab(page, "samples")
    page.evaluate(
        """() => {
          const kept = D.samples[0].states.membranes, v = int32(kept.output);
          v.fill(-8388608, 0, 6);
          kept.output = btoa(String.fromCharCode(...new Uint8Array(v.buffer)));
          chosen.population = "output"; pick(1);
        }"""
    )
    room, text = page.evaluate(
        "() => { const u = charts.membrane, {ctx} = u;"
        " ctx.font = '11px system-ui, sans-serif';"
        " return [u.axes[1]._size, ctx.measureText('-8,000,000').width]; }"
    )
    assert room > text + 10
    page.evaluate(
        """() => {
          D.samples[0].different = {pysim: {hidden1: [[2, 0, 0, 8388607, null, null]]}};
          chosen.population = "hidden1"; pick(0);
        }"""
    )
    assert ranges(page, "membrane")[3] < 1000
    assert "1 values lie outside" in page.inner_text("#membrane-keys")
    point(page, "membrane", 2)
    assert "pysim 8388607" in page.inner_text("#readout")


def test_an_expected_spike_is_shown_beside_what_came(page: Any, run: Path, small: Small) -> None:
    truth = integer.run(small.network, small.stimulus.dense(small.network))
    page.goto((run / "report.html").as_uri() + "#differences")
    rows = [
        [cell.inner_text() for cell in row.query_selector_all("td")]
        for row in page.query_selector("table.around").query_selector_all("tr")[1:]
    ]
    v, spikes = (truth.membranes["output"], truth.spikes["output"])
    words = ["no", "yes"]
    for row, step in zip(rows, (STEP - 1, STEP, STEP + 1), strict=True):
        here, fired = f"{v[SAMPLE, step, NEURON]:,}", int(spikes[SAMPLE, step, NEURON])
        wanted = fired ^ (step == STEP)
        assert row == [str(step), here, here, words[fired], words[fired], words[wanted]]
    page.click("button.show")
    assert page.is_visible("#view-samples") and f"Sample {SAMPLE}:" in page.inner_text(
        "#sample-about"
    )
    assert "expected: 1 of its spikes differ" in page.inner_text("#raster-keys")
    for step, text in ((STEP, "expected a spike"), (FIRST - 1, "expected not known")):
        point(page, "membrane", step)
        assert text in page.inner_text("#readout")
    red = page.evaluate(
        """([step]) => {
          const u = charts.raster, x = u.valToPos(step, "x", true), {top, height} = u.bbox;
          const {data} = u.ctx.getImageData(x - 8, top, 16, height);
          const red = (r, g, b) => r > 150 && g < 90 && b < 90;
          for (let i = 0; i < data.length; i += 4)
            if (red(data[i], data[i + 1], data[i + 2])) return true;
          return false;
        }""",
        [STEP],
    )
    assert red  # the circle


def test_wrong_answers_are_listed_and_lead_to_their_samples(
    page: Any, run: Path, small: Small
) -> None:
    truth = integer.run(small.network, small.stimulus.dense(small.network))
    wrong = np.flatnonzero(
        truth.spikes["output"].sum(axis=1).argmax(axis=1) != small.stimulus.labels
    )
    page.goto((run / "report.html").as_uri())
    tab(page, "answers")
    assert page.inner_text("#misread-title") == f"Wrong answers: {len(wrong)}"
    kept = [int(a.get_attribute("data-see")) for a in page.query_selector_all("#misread a")]
    assert kept and set(kept) <= set(wrong.tolist())
    page.click(f"#misread a[data-see='{kept[-1]}']")
    assert f"Sample {kept[-1]}:" in page.inner_text("#sample-about")
    assert page.is_visible("#view-samples")


def test_time_energy_and_where_the_cycles_go(page: Any, run: Path, small: Small) -> None:
    loaded, summary = Run.load(run)
    trace = Core(small.image).run(small.stimulus)
    parts = breakdown(small.image, small.stimulus, trace)
    rest = int((parts.scan + parts.emission).sum())
    sweep = int((parts.sweep + parts.start).sum())
    found = [cycles for _, cycles, _ in cycles_for(loaded, summary)]
    assert found == [int(parts.accumulate.sum()), sweep, rest]
    assert ticks(small.image) == loaded.head["ticks"]
    page.goto((run / "report.html").as_uri())
    text = page.inner_text("#view-summary .figures")
    cycles, sops = (int(trace.counters[name].sum()) for name in ("cycles", "sops"))
    assert f"{cycles / 6 / 252e6 * 1e3:.4g} ms" in text and "at 252 MHz" in text
    assert f"{sops * 0.57e-6 / 6:.3g} uJ" in text
    assert f"{sops / trace.counters['spikes_in'].sum():,.1f}\nSOPs a spike" in text


def test_where_a_run_comes_from(page: Any, run: Path) -> None:
    origin = json.loads((run / ORIGIN).read_text())
    page.goto((run / "report.html").as_uri())
    text = page.inner_text("#origin")
    head = Run.load(run)[0].head
    for words in (origin["date"], origin["spikeloop"], head["sha256"], head["expected"][1]):
        assert words in text
    assert "date" not in json.loads((run / SUMMARY).read_text())
    assert str(run.parent) not in (run / ORIGIN).read_text()
    (run / ORIGIN).rename(run / "gone")  # a run that does not say: no section, no error
    with pytest.raises(SystemExit) as end:
        main(["report", str(run), "-o", str(run / "other.html")])
    (run / "gone").rename(run / ORIGIN)
    assert end.value.code == 0 and 'id="origin"' not in (run / "other.html").read_text()


def test_a_command_without_folders(tmp_path: Path) -> None:
    line = ["/srv/somebody/bin/spikeloop", "compare", "image", "--expected=/tmp/x/e.npz", "../o"]
    assert shown(line) == "spikeloop compare image --expected=e.npz o"
    assert shown(["/srv/x/spikeloop/__main__.py", "sim"]) == "python -m spikeloop sim"
    assert commit(tmp_path) is None


def test_kept_expected_spikes_come_back_from_the_journal(run: Path) -> None:
    loaded, _ = Run.load(run)
    (kept,) = (chunk.kept[SAMPLE] for chunk in loaded.chunks if SAMPLE in chunk.kept)
    changed = kept.expected["output"][STEP] ^ kept.spikes[0]["output"][STEP]
    assert changed.tolist() == [1 << NEURON]
    assert (
        base64.b64encode(kept.expected["output"].tobytes()).decode()
        in (run / "report.html").read_text()
    )


def test_charts_are_as_wide_as_the_page(page: Any, run: Path) -> None:
    page.goto((run / "report.html").as_uri())
    tab(page, "cycles")
    for width in (1000, 500):
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_function(
            "width => { const {clientWidth} = document.querySelector('#cycles-plot .uplot');"
            " return width - 120 < clientWidth && clientWidth < width; }",
            arg=width,
        )
    assert page.evaluate("document.documentElement.scrollWidth") <= 500
