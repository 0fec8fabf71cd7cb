"""Pictures of the examples: the page of a run, a flipped bit in GTKWave, and in the notebook.

    python examples/pictures.py build/tutorial

Run docs/tutorial.md first. Written to docs/images are report.png (by the system's Chromium) and
waves.png (by GTKWave in a virtual screen), both to be read at a width of 600 pixels, and
difference.png, the last picture that first_difference.ipynb holds.
"""

import base64
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).parents[1] / "docs" / "images"
WIDTH = 760  # pixels of the window; at twice the density for the page

SIGNALS = ("control.number", "control.ticking", "control.state")
NEURON = "hidden1_0"
GRAB = """
gtkwave::setZoomRangeTimes {start} {end}
gtkwave::/File/Grab_To_File "{file}"
gtkwave::nop
gtkwave::/File/Quit
"""


def report(run: Path, file: Path) -> None:
    """Raster and membranes of sample 0, all backends over each other."""
    text = (run / "report.html").read_text()
    assert "width: 992" in text, "the charts of the page are 992 pixels wide"
    with tempfile.TemporaryDirectory() as there, sync_playwright() as playwright:
        narrow = Path(there) / "report.html"  # its charts are narrower, so that words stay large
        narrow.write_text(text.replace("width: 992", f"width: {WIDTH - 96}"))
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        view = {"width": WIDTH, "height": 900}
        page = browser.new_page(viewport=view, device_scale_factor=2, color_scheme="light")
        page.goto(narrow.as_uri() + "#samples")
        page.select_option("#population", "hidden1")
        few = page.locator("#neuron option", has_text="(2 spikes)").first.get_attribute("value")
        page.select_option("#neuron", few)
        page.locator("#view-samples section").first.evaluate("section => section.remove()")
        page.locator("#view-samples").screenshot(path=file)
        browser.close()


def waves(folder: Path, file: Path) -> None:
    """A few signals of ``folder/waves.vcd`` around the marker of ``folder/waves.gtkw``."""
    lines = (folder / "waves.gtkw").read_text().splitlines()
    marker = int(next(line for line in lines if line.startswith("*")).split()[1])
    wanted = [f"core.{name}" for name in SIGNALS]
    wanted += [f"core.{scope}.{NEURON}" for scope in ("membrane", "expected")]
    names = [line for line in lines if line.partition("[")[0] in wanted]
    flags = [lines[lines.index(name) - 1] for name in names]
    pairs = [text for pair in zip(flags, names, strict=True) for text in pair]
    with tempfile.TemporaryDirectory() as there:
        save, script = Path(there) / "few.gtkw", Path(there) / "grab.tcl"
        save.write_text("\n".join([f"*-6.0 {marker}", *pairs]) + "\n")
        script.write_text(GRAB.format(start=marker - 40, end=marker + 640, file=file))
        shape = f"initial_window_x {WIDTH};initial_window_y 300;initial_signal_window_width 260"
        shape += ";hide_sst on;splash_disable on;hier_max_level 2"
        options = [word for variable in shape.split(";") for word in ("--rcvar", variable)]
        subprocess.run(
            ["xvfb-run", "-a", "-s", "-screen 0 1200x700x24", "gtkwave", *options]
            + ["--dump=waves.vcd", f"--save={save}", f"--script={script}"],
            cwd=folder,
            check=True,
            capture_output=True,
            timeout=100,
        )


def difference(notebook: Path, file: Path) -> None:
    """The last picture among the outputs of a notebook."""
    cells = json.loads(notebook.read_text())["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    pictures = [
        output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", ())
    ]
    file.write_bytes(base64.b64decode(pictures[-1]))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    report(folder, IMAGES / "report.png")
    waves(folder / "flipped-run", IMAGES / "waves.png")
    difference(Path(__file__).with_name("first_difference.ipynb"), IMAGES / "difference.png")
