"use strict";
const D = JSON.parse(document.getElementById("data").textContent);
const $ = id => document.getElementById(id);
const colour = i => `var(--c${i % 6})`;
const count = n => n.toLocaleString("en-US");
const escaped = text => String(text).replace(/[&<>"]/g, c => ({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"})[c]);
const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
const int32 = text => new Int32Array(bytes(text).buffer);
const bit = (packed, size, step, i) => packed[step * Math.ceil(size / 8) + (i >> 3)] >> (i & 7) & 1;
const steps = D.network.steps;
const layers = D.network.populations.map(([name, size, start], i) => ({name, size, start, colour: colour(i)}));
const key = (fill, text, height = 3) => `<span class="key"><i style="background:${fill};height:${height}px"></i>${escaped(text)}</span>`;

// -- tabs: the part behind # says which ------------------------------------------------------------------------
function show() {
  const wanted = location.hash.slice(1) || "summary";
  for (const view of document.querySelectorAll(".view")) view.classList.toggle("shown", view.id === "view-" + wanted);
  for (const tab of document.querySelectorAll("nav a")) tab.setAttribute("aria-selected", tab.hash === "#" + wanted);
}
addEventListener("hashchange", show);

// -- drawing ---------------------------------------------------------------------------------------------------
// a frame with ticks; x and y are functions from values to pixels
function frame(width, height, [x0, x1], [y0, y1], xs, ys, xlabel) {
  const left = 64, bottom = 34, top = 8, right = 10;
  const x = v => left + (v - x0) / (x1 - x0 || 1) * (width - left - right);
  const y = v => height - bottom - (v - y0) / (y1 - y0 || 1) * (height - bottom - top);
  let inside = "";
  for (const v of ys) inside += `<line x1="${left}" x2="${width - right}" y1="${y(v)}" y2="${y(v)}" stroke="var(--line)"/><text x="${left - 6}" y="${y(v) + 4}" text-anchor="end">${count(v)}</text>`;
  for (const v of xs) inside += `<text x="${x(v)}" y="${height - bottom + 16}" text-anchor="middle">${count(v)}</text>`;
  if (xlabel) inside += `<text x="${width - right}" y="${height - 3}" text-anchor="end">${xlabel}</text>`;
  return {x, y, svg: more => `<svg viewBox="0 0 ${width} ${height}" width="${width}">${inside}${more}</svg>`};
}

function ticks(low, high, about) {
  const raw = (high - low) / about || 1, power = 10 ** Math.floor(Math.log10(raw));
  const step = Math.max(1, [1, 2, 5, 10].map(f => f * power).find(s => s >= raw));
  const found = [];
  for (let v = Math.ceil(low / step) * step; v <= high; v += step) found.push(v);
  return found;
}

// -- activity --------------------------------------------------------------------------------------------------
function activity() {
  $("layers").innerHTML = "<tr><th>layer</th><th>neurons</th><th>spikes a sample</th><th>spikes a neuron and step</th><th>silent neurons</th><th>always firing</th></tr>"
    + D.activity.map(a => { const mean = a.steps.reduce((x, y) => x + y, 0);
        return `<tr data-layer="${escaped(a.name)}"><td>${escaped(a.name)}</td><td>${count(a.size)}</td><td>${mean.toFixed(1)}</td><td>${(mean / a.size / steps).toFixed(4)}</td><td>${count(a.silent)}</td><td>${count(a.always)}</td></tr>`; }).join("");
  $("activity-plots").innerHTML = D.activity.map((a, i) => {
    const high = Math.max(...a.steps, 1e-9), most = Math.max(...a.rates, 1);
    const one = frame(500, 130, [-0.5, steps - 0.5], [0, high], ticks(0, steps - 1, 8), ticks(0, high, 2), "step");
    const two = frame(500, 130, [0, 20], [0, most], [], ticks(0, most, 2), `spikes a step, 0 to ${a.fastest.toFixed(3)}`);
    const bars = (f, values, w, at) => values.map((v, j) => `<rect x="${f.x(at(j))}" width="${w}" y="${f.y(v)}" height="${f.y(0) - f.y(v)}" fill="${colour(i)}"/>`).join("");
    return `<div class="bar">${key(colour(i), a.name, 10)}</div><div style="display:grid;grid-template-columns:1fr 1fr;gap:12px">`
      + one.svg(bars(one, a.steps, 400 / steps * 0.8, j => j - 0.4)) + two.svg(bars(two, a.rates, 17, j => j + 0.1)) + "</div>";
  }).join("");
}

// -- samples ---------------------------------------------------------------------------------------------------
const chosen = {sample: 0, population: D.network.output, neuron: 0, state: "membranes"};
const states = {membranes: "membrane", synaptic: "synaptic current", adaptations: "adaptation"};

// spikes and the chosen state of a population on each backend: the first whole, the others with what differs put in
function traces(sample, layer) {
  const packed = bytes(sample.spikes[layer.name]), own = sample.states[chosen.state][layer.name], v = own && int32(own);
  const column = 3 + Object.keys(states).indexOf(chosen.state);
  return D.backends.map(name => {
    const rows = (sample.different[name] || {})[layer.name] || [], other = new Map(rows.map(r => [r[0] * layer.size + r[1], r]));
    return {name, different: rows,
            spike: (step, i) => { const r = other.get(step * layer.size + i); return r ? r[2] : bit(packed, layer.size, step, i); },
            value: (step, i) => { const r = other.get(step * layer.size + i); return r ? r[column] : v[step * layer.size + i]; }, known: !!v};
  });
}

function raster(sample) {
  const inputs = D.network.inputs.map(([name, size]) => ({name, size, fill: "var(--ink)", input: true}));
  const rows = [...inputs, ...layers], left = 150, width = 1020, wide = (width - left - 10) / steps;
  let at = 4, out = "";
  for (const layer of rows) {
    const height = Math.max(26, Math.min(150, 34 * layer.size ** 0.22)), each = height / layer.size, mark = Math.max(1.4, each * 0.8);
    const y = i => at + height - (i + 0.5) * each;
    const path = (spike, inset) => { let d = "";
      for (let s = 0; s < steps; s++) for (let i = 0; i < layer.size; i++) if (spike(s, i)) d += `M${(left + s * wide + inset * wide).toFixed(1)} ${y(i).toFixed(1)}h${(wide * (1 - 2 * inset)).toFixed(1)}`;
      return d; };
    out += `<rect x="${left}" y="${at}" width="${width - left - 10}" height="${height}" fill="none" stroke="var(--line)"/><text x="${left - 8}" y="${at + height / 2 + 4}" text-anchor="end">${escaped(layer.name)} (${count(layer.size)})</text>`;
    if (layer.input) {
      const packed = bytes(sample.inputs[layer.name]);
      out += `<path d="${path((s, i) => bit(packed, layer.size, s, i), 0.2)}" stroke="var(--ink)" stroke-width="${mark}" opacity="0.75"/>`;
    } else traces(sample, layer).forEach((t, i) => {
      if (i && !t.different.length) return;  // the same marks: the key says so
      out += `<path d="${path(t.spike, 0.1 + 0.15 * Math.min(i, 2))}" stroke="${colour(i)}" stroke-width="${mark}" opacity="${i ? 1 : 0.65}"/>`;
      for (const [s, n] of t.different) out += `<circle cx="${left + (s + 0.5) * wide}" cy="${y(n)}" r="5" fill="none" stroke="var(--bad)" stroke-width="1.5"/>`;
    });
    at += height + 10;
  }
  for (const s of ticks(0, steps - 1, 16)) out += `<text x="${left + (s + 0.5) * wide}" y="${at + 8}" text-anchor="middle">${s}</text>`;
  $("raster").innerHTML = `<svg viewBox="0 0 ${width} ${at + 14}" width="${width}">${out}</svg>`;
  $("raster-keys").innerHTML = D.backends.map((name, i) => {
    const wrong = Object.values(sample.different[name] || {}).reduce((n, rows) => n + rows.length, 0);
    return key(colour(i), i ? `${name}: ${wrong ? wrong + " neuron-steps differ (circles)" : "the same marks"}` : name);
  }).join("");
}

function membrane(sample) {
  const layer = layers.find(l => l.name === chosen.population), all = traces(sample, layer), n = chosen.neuron;
  if (!all[0].known) { $("membrane").innerHTML = ""; $("readout").textContent = "This state was not recorded."; return; }
  const pages = int32(D.v_th[layer.name]), many = pages.length / layer.size;
  const own = sample.states.adaptations[layer.name], raised = own && int32(own).some(a => a);  // threshold not v_th alone
  const fires = chosen.state === "membranes" && !raised && bytes(D.fire[layer.name])[n];
  const threshold = s => pages[Math.min(s, many - 1) * layer.size + n];
  const values = [];
  for (let s = 0; s < steps; s++) { all.forEach(t => values.push(t.value(s, n))); if (fires) values.push(threshold(s)); }
  const low = Math.min(0, ...values), high = Math.max(1, ...values), pad = (high - low) * 0.06;
  const f = frame(1020, 270, [-0.5, steps - 0.5], [low - pad, high + pad], ticks(0, steps - 1, 16), ticks(low, high, 5), "step");
  const line = value => { let d = ""; for (let s = 0; s < steps; s++) d += `${s ? "L" : "M"}${f.x(s - 0.5)} ${f.y(value(s))}H${f.x(s + 0.5)}`; return d; };
  let out = fires ? `<path d="${line(threshold)}" fill="none" stroke="var(--soft)" stroke-dasharray="5 4"/>` : "";
  all.forEach((t, i) => out += `<path d="${line(s => t.value(s, n))}" fill="none" stroke="${colour(i)}" stroke-width="${[7, 3.6, 1.4][Math.min(i, 2)]}" opacity="${[0.4, 0.7, 1][Math.min(i, 2)]}"/>`);
  for (let s = 0; s < steps; s++) if (all[0].spike(s, n)) out += `<path d="M${f.x(s)} 8l-5 -8h10z" transform="translate(0 8)" fill="var(--ink)"/>`;
  for (let s = 0; s < steps; s++) out += `<rect data-step="${s}" x="${f.x(s - 0.5)}" width="${f.x(1) - f.x(0)}" y="0" height="270" fill="transparent"/>`;
  $("membrane").innerHTML = f.svg(out);
  $("membrane-keys").innerHTML = D.backends.map((name, i) => key(colour(i), name, [7, 4, 2][Math.min(i, 2)])).join("") + (fires ? key("var(--soft)", "threshold", 1) : "") + key("var(--ink)", "spike", 8);
  const read = s => $("readout").textContent = `step ${s}: ` + all.map(t => `${t.name} ${t.value(s, n)}${t.spike(s, n) ? " (spike)" : ""}`).join(", ") + (fires ? `, threshold ${threshold(s)}` : chosen.state !== "membranes" || raised ? "" : ", never spikes");
  $("membrane").onmousemove = event => { const s = event.target.dataset.step; if (s !== undefined) read(+s); };
  read(0);
}

// the earlier and the more often a line of a square input spikes, the darker
function picture(sample) {
  const [name, size] = D.network.inputs[0] || ["", 0], side = Math.round(size ** 0.5);
  if (side * side !== size || side < 4) { $("picture").innerHTML = ""; return; }
  const packed = bytes(sample.inputs[name]), weight = new Float32Array(size);
  for (let s = 0; s < steps; s++) for (let i = 0; i < size; i++) weight[i] += bit(packed, size, s, i) * (steps - s);
  const most = Math.max(...weight, 1);
  let out = "";
  weight.forEach((w, i) => { if (w) out += `<rect x="${i % side}" y="${Math.floor(i / side)}" width="1.02" height="1.02" fill="var(--ink)" opacity="${(w / most).toFixed(2)}"/>`; });
  $("picture").innerHTML = `<svg viewBox="0 0 ${side} ${side}" width="112" style="border:1px solid var(--line)">${out}</svg><p class="soft">${escaped(name)}: earlier spikes are darker</p>`;
}

function neurons() {  // the busiest first
  const sample = D.samples[chosen.sample], layer = layers.find(l => l.name === chosen.population), [t] = traces(sample, layer), sums = [];
  for (let i = 0; i < layer.size; i++) { let n = 0; for (let s = 0; s < steps; s++) n += t.spike(s, i); sums.push([i, n]); }
  sums.sort((a, b) => b[1] - a[1] || a[0] - b[0]);
  $("neuron").innerHTML = sums.map(([i, n]) => `<option value="${i}">${i} (${n} spike${n === 1 ? "" : "s"})</option>`).join("");
  return sums[0][0];
}

function draw(neuron) {
  const sample = D.samples[chosen.sample];
  document.querySelectorAll("#sample-bar button").forEach((b, i) => b.setAttribute("aria-pressed", i === chosen.sample));
  const busiest = neurons();
  chosen.neuron = neuron === undefined ? busiest : neuron;
  $("population").value = chosen.population;
  $("neuron").value = chosen.neuron;
  $("sample-about").textContent = `Sample ${sample.n}` + (sample.label === null ? "" : `: a ${sample.label}`)
    + D.backends.map((name, i) => sample.answers[i] === null ? "" : `, ${name} says ${sample.answers[i]}`).join("");
  picture(sample); raster(sample); membrane(sample);
}

function samples() {
  $("sample-bar").innerHTML = D.samples.map(s => `<button data-sample="${s.n}">sample ${s.n}</button>`).join("")
    + (D.left_out.length ? `<span class="soft">no room for samples ${D.left_out.join(", ")}</span>` : "");
  if (!D.samples.length) { $("sample-about").textContent = "No sample was kept: spikeloop compare --keep N."; return; }
  document.querySelectorAll("#sample-bar button").forEach((b, i) => b.onclick = () => { chosen.sample = i; draw(); });
  $("population").innerHTML = layers.map(l => `<option>${escaped(l.name)}</option>`).join("");
  $("population").onchange = e => { chosen.population = e.target.value; draw(); };
  $("neuron").onchange = e => draw(+e.target.value);
  const recorded = Object.keys(states).filter(part => Object.keys(D.samples[0].states[part]).length);
  $("state").innerHTML = recorded.map(part => `<option value="${part}">${states[part]}</option>`).join("");
  $("state").onchange = e => { chosen.state = e.target.value; draw(chosen.neuron); };
  draw();
}

// -- mapping: a core is its crossbar, axons across and columns down; what is used is filled -----------------------
function mapping() {
  const of = Object.fromEntries(layers.map(l => [l.name, l.colour])), n = D.cores.length;
  $("mapping-title").textContent = `${count(n)} ${D.each}${n === 1 ? "" : "s"}, ${(100 * D.figures.use.share).toFixed(1)} % of the crossbar${n === 1 ? "" : "s"} used (axons across, columns down)`;
  $("mapping-about").textContent = `Latency: ${D.figures.text.latency}.` + (D.figures.reason ? ` Several, because ${D.figures.reason}.` : "");
  $("mapping-keys").innerHTML = layers.map(l => key(l.colour, l.name, 10)).join("");
  const [across] = D.mesh, onMesh = D.each === "core" && n > 1;
  if (onMesh) $("cores").style.gridTemplateColumns = `repeat(${across}, minmax(90px, 1fr))`;
  else if (n === 1) $("cores").style.setProperty("--cell", "320px");
  $("cores").innerHTML = D.cores.map((c, i) => {
    let y = 0, parts = "";
    for (const [name, [, columns, reach]] of Object.entries(c.holds)) { const h = 100 * columns / c.columns_of;
      parts += `<rect x="0" y="${y}" width="${100 * reach / c.axons_of}" height="${h}" fill="${of[name]}"/>`; y += h; }
    const place = onMesh ? `;grid-column:${c.core % across + 1};grid-row:${Math.floor(c.core / across) + 1}` : "";
    return `<button class="core" data-core="${i}" style="max-width:340px${place}"><svg viewBox="-1 -1 102 102"><rect width="100" height="100" fill="var(--page)" stroke="var(--line)"/>${parts}</svg>${D.each} ${c.core}: ${Math.round(100 * c.axons / c.axons_of)} % axons, ${Math.round(100 * c.columns / c.columns_of)} % columns</button>`;
  }).join("");
  const pick = i => { const c = D.cores[i];
    document.querySelectorAll(".core").forEach((b, j) => b.setAttribute("aria-pressed", i === j));
    $("core-table").innerHTML = `<tr><th>${D.each} ${c.core}</th><th>neurons</th><th>columns</th></tr>` + Object.entries(c.holds).map(([name, [size, columns]]) => `<tr><td>${escaped(name)}</td><td>${count(size)}</td><td>${count(columns)}</td></tr>`).join("")
      + `<tr><td>axons used</td><td></td><td>${count(c.axons)} of ${count(c.axons_of)}</td></tr><tr><td>columns used</td><td></td><td>${count(c.columns)} of ${count(c.columns_of)}</td></tr>`
      + `<tr><td>crossbar used</td><td></td><td>${(100 * c.synapses / c.synapses_of).toFixed(1)} %</td></tr>`; };
  document.querySelectorAll(".core").forEach((b, i) => b.onclick = () => pick(i));
  if (n) pick(0);
}

// -- cycles ----------------------------------------------------------------------------------------------------
function cycles() {
  if (!D.cycles.length) { $("cycles-plot").textContent = "No backend of this run counts cycles: pysim predicts them, a chip measures them."; return; }
  let most = 1, high = 1;
  for (const c of D.cycles) for (const [e, v] of c.points) { most = Math.max(most, e); high = Math.max(high, v); }
  const f = frame(1020, 330, [0, most], [0, high * 1.05], ticks(0, most, 10), ticks(0, high, 6), "events scanned in a tick");
  $("cycles-keys").innerHTML = D.cycles.map(c => key(colour(D.backends.indexOf(c.name)), `${c.name} (${c.measured ? "measured" : "predicted"})`, 8)).join("");
  $("cycles-plot").innerHTML = f.svg(D.cycles.map(c => c.points.map(([e, v]) => `<circle cx="${f.x(e).toFixed(1)}" cy="${f.y(v).toFixed(1)}" r="${c.measured ? 1.6 : 4}" ${c.measured ? "fill" : 'fill="none" stroke'}="${colour(D.backends.indexOf(c.name))}"/>`).join("")).join(""));
}

// -- confusion -------------------------------------------------------------------------------------------------
function answers() {
  const a = D.answers;
  if (!a) { $("answers-title").textContent = "The stimulus has no labels."; return; }
  const classes = Math.max(...a.labels, ...a.answers) + 1, matrix = Array.from({length: classes}, () => Array.from({length: classes}, () => []));
  a.labels.forEach((label, i) => matrix[label][a.answers[i]].push(i));
  const right = matrix.reduce((n, row, i) => n + row[i].length, 0);
  $("answers-title").textContent = `${a.backend}: ${count(right)} of ${count(a.labels.length)} right (${(100 * right / a.labels.length).toFixed(2)} %); label down, answer across`;
  const rows = matrix.map((row, i) => { const total = row.reduce((n, cell) => n + cell.length, 0) || 1;
    return `<tr><th>${i}</th>` + row.map((cell, j) => `<td data-n="${cell.length}" data-at="${i},${j}" style="background:color-mix(in srgb, ${i === j ? "var(--good)" : "var(--bad)"} ${Math.round(i === j ? 70 * cell.length / total : Math.min(90, 400 * cell.length / total))}%, transparent)">${cell.length || ""}</td>`).join("") + "</tr>"; });
  $("confusion").innerHTML = "<tr><th></th>" + matrix.map((_, j) => `<th>${j}</th>`).join("") + "</tr>" + rows.join("");
  $("answers-of").textContent = "Click on a cell for its samples.";
  $("confusion").onclick = e => { if (!e.target.dataset.at) return;
    const [i, j] = e.target.dataset.at.split(",").map(Number), found = matrix[i][j];
    $("answers-of").textContent = `label ${i}, answer ${j}: ${count(found.length)} sample${found.length === 1 ? "" : "s"}: ${found.slice(0, 40).join(", ")}${found.length > 40 ? ", ..." : ""}`; };
}

for (const button of document.querySelectorAll("button.show")) button.onclick = () => {
  const at = D.samples.findIndex(s => s.n === +button.dataset.sample);
  if (at < 0) return;
  chosen.sample = at; chosen.population = button.dataset.population;
  draw(+button.dataset.neuron);
  location.hash = "#samples";
};
activity(); samples(); mapping(); cycles(); answers(); show();
