"""The report of a lesson: one HTML page that loads nothing, with the weights before and after.

A tile is a neuron's weights, black for 0 and white for the largest; both tiles of a neuron share
the scale. The neurons that spiked most come first, MOST of them.
"""

import base64
import io
import math
from collections.abc import Mapping
from pathlib import Path

import jinja2
import numpy as np

from spikeloop.pysim.common.files import write_atomic

__all__ = ["MOST", "tile", "write"]

MOST = 24
"""Neurons whose weights are drawn."""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>spikeloop: {{ name }}</title>
<style>
:root { color-scheme: light dark; --page: #fbfbf9; --card: #fff; --ink: #1d2126; --soft: #5f6670;
  --line: #e4e4df; --mark: {{ "#b3261e" if first else "#1b7f56" }}; }
@media (prefers-color-scheme: dark) { :root { --page: #15181c; --card: #1c2025; --ink: #e3e6ea;
  --soft: #969da7; --line: #2d333a; --mark: {{ "#ff8a80" if first else "#5cc697" }}; } }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 28px 24px 48px; }
h1 { font-size: 22px; margin: 0; font-weight: 650; }
h2 { font-size: 14px; margin: 0 0 10px; font-weight: 650; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 16px 18px; margin-top: 16px; }
.verdict { border-left: 5px solid var(--mark); }
.verdict strong { font-size: 20px; color: var(--mark); }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; }
th, td { text-align: left; vertical-align: top; padding: 4px 14px 4px 0;
  border-bottom: 1px solid var(--line); }
th, p, figcaption { color: var(--soft); font-weight: 500; }
th { white-space: nowrap; }
tr:last-child > * { border-bottom: 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(230px, 1fr)); gap: 18px; }
figure { margin: 0; }
figure div { display: flex; gap: 8px; }
img { width: 50%; min-width: 0; image-rendering: pixelated; border: 1px solid var(--line); }
figcaption { font-size: 12.5px; }
figcaption b { color: var(--ink); font-weight: 600; }
</style>
</head>
<body><main>
<h1>{{ name }}</h1>
<section class="verdict"><strong>{{ "different" if first else "equal" }}</strong>
<p>{{ first or "every value of every engine, every weight update in its order" }}</p></section>
<section><table>
{% for key, text in rows.items() %}<tr><th>{{ key }}</th><td>{{ text }}</td></tr>
{% endfor %}</table></section>
<section><h2>Weights before and after</h2>
<p>{{ tiles | length }} of {{ neurons }} neurons, most spikes first. Left before, right after;
black is 0, white {{ top }}.</p>
<div class="tiles">
{% for t in tiles %}<figure><div>
<img alt="weights of neuron {{ t.neuron }} before" src="{{ t.before }}">
<img alt="weights of neuron {{ t.neuron }} after" src="{{ t.after }}"></div>
<figcaption><b>{{ t.title }}</b><br>{{ t.text }}</figcaption></figure>
{% endfor %}</div></section>
</main></body></html>
"""


def write(
    path: Path,
    name: str,
    rows: Mapping[str, str],
    before: np.ndarray,
    after: np.ndarray,
    spikes: np.ndarray,
    *,
    first: str | None = None,
    shape: tuple[int, int] | None = None,
    titles: tuple[str, ...] = (),
) -> Path:
    """Write the page of a lesson to ``path``.

    rows:   the table, as the command prints it.
    before, after: weights ``[axon, neuron]``.
    spikes: of each neuron in the lesson, ``[neuron]``.
    first:  the first difference; None: all is equal.
    shape:  rows and columns of a tile; by default as near a square as may be.
    titles: names of the neurons; by default their numbers.
    """
    top = max(1, int(before.max()), int(after.max()))
    order = np.argsort(-spikes, kind="stable")[:MOST].tolist()
    tiles = []
    for neuron in order:
        was, now = before[:, neuron].astype(np.int64), after[:, neuron].astype(np.int64)
        tiles.append(
            {
                "neuron": neuron,
                "title": titles[neuron] if titles else f"neuron {neuron}",
                "text": f"{int(spikes[neuron]):,} spikes, mean weight {was.mean():,.0f} to "
                f"{now.mean():,.0f}, {int((was != now).sum()):,} of {len(was):,} changed",
                "before": tile(was, top, shape),
                "after": tile(now, top, shape),
            }
        )
    page = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(PAGE)
    text = page.render(
        name=name, rows=rows, tiles=tiles, neurons=len(spikes), first=first, top=f"{top:,}"
    )
    return write_atomic(path, text.encode())


def tile(weights: np.ndarray, top: int, shape: tuple[int, int] | None = None) -> str:
    """Weights ``[axon]`` as a grey PNG in a data URL; places beyond the last axon are 0."""
    import matplotlib.image

    columns = shape[1] if shape else math.isqrt(len(weights) - 1) + 1
    rows = shape[0] if shape else -(-len(weights) // columns)
    whole = np.zeros(rows * columns)
    whole[: len(weights)] = weights
    file = io.BytesIO()
    pixels = whole.reshape(rows, columns)
    matplotlib.image.imsave(file, pixels, cmap="gray", vmin=0, vmax=top, format="png")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
