const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
const int32 = text => new Int32Array(bytes(text).buffer);
const bit = (packed, size, step, i) => packed[step * Math.ceil(size / 8) + (i >> 3)] >> (i & 7) & 1;
const steps = D.network.steps;
const layers = D.network.populations.map(([name, size, start], i) => ({name, size, start, colour: colour(i)}));

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
  return {x, y, svg: (title, more) => `<svg role="img" viewBox="0 0 ${width} ${height}" width="${width}"><title>${escaped(title)}</title>${inside}${more}</svg>`};
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
      + one.svg(`${a.name}: spikes of a sample at each step`, bars(one, a.steps, 400 / steps * 0.8, j => j - 0.4)) + two.svg(`${a.name}: neurons by their rate`, bars(two, a.rates, 17, j => j + 0.1)) + "</div>";
  }).join("");
}

// -- samples ---------------------------------------------------------------------------------------------------
const chosen = {sample: 0, population: D.network.output, neuron: 0, state: "membranes"};
const states = {membranes: "membrane", synaptic: "synaptic current", adaptations: "adaptation"};

// spikes and the chosen state of a population on each backend: the first whole, the others with what differs put in;
// last the expected spikes, if there are some
function traces(sample, layer) {
  const packed = bytes(sample.spikes[layer.name]), own = sample.states[chosen.state][layer.name], v = own && int32(own);
  const column = 3 + Object.keys(states).indexOf(chosen.state);
  const all = D.backends.map(name => {
    const rows = (sample.different[name] || {})[layer.name] || [], other = new Map(rows.map(r => [r[0] * layer.size + r[1], r]));
    return {name, different: rows,
            spike: (step, i) => { const r = other.get(step * layer.size + i); return r ? r[2] : bit(packed, layer.size, step, i); },
            value: (step, i) => { const r = other.get(step * layer.size + i); return r ? r[column] : v[step * layer.size + i]; }, known: !!v};
  });
  if (layer.name in sample.expected) {
    const wanted = bytes(sample.expected[layer.name]), different = [];
    for (let s = D.expected_first; s < steps; s++) for (let i = 0; i < layer.size; i++) if (bit(wanted, layer.size, s, i) !== bit(packed, layer.size, s, i)) different.push([s, i]);
    all.push({name: "expected", different, spike: (s, i) => s < D.expected_first ? 0 : bit(wanted, layer.size, s, i), known: false});
  }
  return all;
}

// marks of one sample: inputs, then layers, each a band of neurons
function bands() {
  let at = 0;
  return [...D.network.inputs.map(([name, size]) => ({name, size, input: true})), ...layers].map(layer => {
    const height = Math.max(26, Math.min(150, 34 * layer.size ** 0.22)), band = {layer, top: at, height, each: height / layer.size};
    at += height + 10;
    return band;
  });
}

function raster(sample) {
  const rows = bands(), end = rows.at(-1).top + rows.at(-1).height, known = new Map();
  for (const {layer} of rows) {
    const packed = layer.input && bytes(sample.inputs[layer.name]);
    known.set(layer.name, layer.input ? [{name: "input", different: [], spike: (s, i) => bit(packed, layer.size, s, i)}] : traces(sample, layer));
  }
  const paint = ({ctx, x, y}, px) => {
    for (const {layer, top, height, each} of rows) {
      const middle = i => top + height - (i + 0.5) * each, thick = Math.max(1.4 * px, Math.abs(y(each) - y(0)) * 0.8);
      ctx.strokeStyle = css("--line"); ctx.lineWidth = px; ctx.globalAlpha = 1;
      ctx.strokeRect(x(-0.5), y(top), x(steps - 0.5) - x(-0.5), y(top + height) - y(top));
      known.get(layer.name).forEach((t, b) => {
        if (b && !t.different.length) return;  // the same marks: the key says so
        const inset = layer.input ? 0.2 : 0.1 + 0.15 * Math.min(b, 2);
        ctx.globalAlpha = layer.input ? 0.75 : b ? 1 : 0.65; ctx.lineWidth = thick;
        ctx.strokeStyle = css(layer.input ? "--ink" : t.name === "expected" ? "--ink" : `--c${b % 6}`);
        ctx.beginPath();
        for (let s = 0; s < steps; s++) for (let i = 0; i < layer.size; i++) if (t.spike(s, i)) { ctx.moveTo(x(s - 0.5 + inset), y(middle(i))); ctx.lineTo(x(s + 0.5 - inset), y(middle(i))); }
        ctx.stroke();
        ctx.globalAlpha = 1; ctx.strokeStyle = css("--bad"); ctx.lineWidth = 1.5 * px;
        for (const [s, n] of t.different) { ctx.beginPath(); ctx.arc(x(s), y(middle(n)), 5 * px, 0, 7); ctx.stroke(); }
      });
    }
  };
  const under = (xv, yv) => {
    const band = rows.find(r => yv >= r.top && yv < r.top + r.height), step = Math.round(xv);
    return band && step >= 0 && step < steps ? {layer: band.layer, step, neuron: Math.min(band.layer.size - 1, Math.floor((band.top + band.height - yv) / band.each))} : null;
  };
  // names of the bands in sight; of a band that is wide enough its neurons
  const labels = (u, axis, low, high) => {
    const pixel = (high - low) / (u.bbox.height / devicePixelRatio), found = [];
    for (const r of rows) {
      if (r.each > 13 * pixel) for (let i = 0; i < r.layer.size; i++) { const at = r.top + r.height - (i + 0.5) * r.each; if (at > low && at < high) found.push([at, `${r.layer.name} ${i}`]); }
      else if (r.top < high && r.top + r.height > low) found.push([(Math.max(low, r.top) + Math.min(high, r.top + r.height)) / 2, `${r.layer.name} (${count(r.layer.size)})`]);
    }
    u.rasterLabels = new Map(found);
    return found.map(([at]) => at);
  };
  const tell = ({layer, step, neuron}) => `${layer.name} ${neuron}, step ${step}: ` + known.get(layer.name).map(t => t.name === "expected" && step < D.expected_first ? "expected not known" : `${t.name} ${t.spike(step, neuron) ? "spike" : "-"}`).join(", ");
  chart($("raster"), {
    name: "raster", label: `Spikes of sample ${sample.n}: inputs and layers down, steps across`, x: [-0.5, steps - 0.5], y: [0, end], down: true, height: Math.min(900, end + 50), paint,
    axis: {x: {label: "step"}, y: {splits: labels, values: (u, splits) => splits.map(at => u.rasterLabels.get(at)), grid: {show: false}, ticks: {show: false}}},
    hover: (xv, yv) => { const at = under(xv, yv); $("raster-readout").textContent = at ? tell(at) : "Click on a mark to see the neuron's state below."; },
    click: (xv, yv) => { const at = under(xv, yv); if (at && !at.layer.input) { chosen.population = at.layer.name; pick(at.neuron); } },
    csv: () => [["layer", "neuron", "step", "backend"], ...rows.flatMap(({layer}) => known.get(layer.name).flatMap(t => { const out = []; for (let s = 0; s < steps; s++) for (let i = 0; i < layer.size; i++) if (t.spike(s, i)) out.push([layer.name, i, s, t.name]); return out; }))],
  });
  $("raster-keys").innerHTML = D.backends.map((name, i) => {
    const wrong = Object.values(sample.different[name] || {}).reduce((n, rows) => n + rows.length, 0);
    return key(colour(i), i ? `${name}: ${wrong ? wrong + " neuron-steps differ (circles)" : "the same marks"}` : name);
  }).join("") + (Object.keys(sample.expected).length ? key("var(--ink)", `expected: ${count([...known.values()].reduce((n, all) => n + (all.find(t => t.name === "expected")?.different.length || 0), 0))} of its spikes differ from ${D.backends[0]} (circles)`) : "");
}

function membrane(sample) {
  const layer = layers.find(l => l.name === chosen.population), every = traces(sample, layer), n = chosen.neuron;
  const all = every.filter(t => t.name !== "expected"), wanted = every.find(t => t.name === "expected");
  if (!all[0].known) { charts.membrane?.destroy(); delete charts.membrane; $("membrane").innerHTML = ""; $("readout").textContent = "This state was not recorded."; return; }
  const pages = int32(D.v_th[layer.name]), many = pages.length / layer.size;
  const own = sample.states.adaptations[layer.name], raised = own && int32(own).some(a => a);  // threshold not v_th alone
  const fires = chosen.state === "membranes" && !raised && bytes(D.fire[layer.name])[n];
  const threshold = s => pages[Math.min(s >> D.page_shifts[layer.name], many - 1) * layer.size + n];
  const at = [...Array(steps).keys()];
  let low = Math.min(0, ...at.map(s => all[0].value(s, n))), high = Math.max(1, ...at.map(s => all[0].value(s, n)));
  if (fires) { const near = at.map(threshold).filter(v => Math.abs(v) < 2 ** 22); low = Math.min(low, ...near); high = Math.max(high, ...near); }
  // the others widen the range up to three times: a wild value is drawn at the edge, and its number is read below
  const span = high - low, values = all.flatMap(t => at.map(s => t.value(s, n))).filter(v => v !== null);
  low = Math.max(Math.min(low, ...values), low - span); high = Math.min(Math.max(high, ...values), high + span);
  const pad = (high - low) * 0.08, wild = values.filter(v => v < low || v > high).length;
  const clip = v => Math.max(low - pad / 2, Math.min(high + pad / 2, v));
  const paint = ({ctx, x, y, top}, px) => {
    const line = value => { ctx.beginPath(); for (const s of at) { ctx.lineTo(x(s - 0.5), y(clip(value(s)))); ctx.lineTo(x(s + 0.5), y(clip(value(s)))); } ctx.stroke(); };
    if (fires) { ctx.strokeStyle = css("--soft"); ctx.lineWidth = px; ctx.setLineDash([5 * px, 4 * px]); line(threshold); ctx.setLineDash([]); }
    all.forEach((t, i) => { ctx.strokeStyle = css(`--c${i % 6}`); ctx.lineWidth = [7, 3.6, 1.4][Math.min(i, 2)] * px; ctx.globalAlpha = [0.4, 0.7, 1][Math.min(i, 2)]; line(s => t.value(s, n)); });
    ctx.globalAlpha = 1;
    const mark = (s, colour, hollow) => { ctx.beginPath(); ctx.moveTo(x(s), top + 10 * px); ctx.lineTo(x(s) - 5 * px, top + 2 * px); ctx.lineTo(x(s) + 5 * px, top + 2 * px); ctx.closePath();
      if (hollow) { ctx.strokeStyle = colour; ctx.lineWidth = 2 * px; ctx.stroke(); } else { ctx.fillStyle = colour; ctx.fill(); } };
    for (const s of at) {
      if (all[0].spike(s, n)) mark(s, css("--ink"), false);
      if (wanted && s >= D.expected_first && wanted.spike(s, n) !== all[0].spike(s, n)) mark(s, css("--bad"), true);
    }
  };
  const said = s => wanted ? s < D.expected_first ? ", expected not known" : `, expected ${wanted.spike(s, n) ? "a spike" : "no spike"}` : "";
  const read = s => $("readout").textContent = `step ${s}: ` + all.map(t => `${t.name} ${t.value(s, n)}${t.spike(s, n) ? " (spike)" : ""}`).join(", ") + (fires ? `, threshold ${threshold(s)}` : chosen.state !== "membranes" || raised ? "" : ", never spikes") + said(s);
  chart($("membrane"), {
    name: "membrane", label: `${states[chosen.state]} of ${layer.name} ${n} in sample ${sample.n}, at the end of each step`, x: [-0.5, steps - 0.5], y: [low - pad, high + pad], height: 290, paint,
    axis: {x: {label: "step"}, y: {values: (u, splits) => splits.map(v => count(v))}},
    hover: xv => { const s = Math.round(xv); if (s >= 0 && s < steps) read(s); },
    csv: () => [["step", ...all.flatMap(t => [`${t.name} ${states[chosen.state]}`, `${t.name} spike`]), ...(fires ? ["threshold"] : []), ...(wanted ? ["expected spike"] : [])],
                ...at.map(s => [s, ...all.flatMap(t => [t.value(s, n), t.spike(s, n)]), ...(fires ? [threshold(s)] : []), ...(wanted ? [s < D.expected_first ? "" : wanted.spike(s, n)] : [])])],
  });
  $("membrane-keys").innerHTML = D.backends.map((name, i) => key(colour(i), name, [7, 4, 2][Math.min(i, 2)])).join("") + (fires ? key("var(--soft)", "threshold", 1) : "") + key("var(--ink)", "spike", 8)
    + (wanted ? key("var(--bad)", "not as expected (hollow)", 8) : "") + (wild ? `<span class="soft">${count(wild)} values lie outside: at the edge</span>` : "");
  read(0);
}

// the earlier and the more often a line of a square input spikes, the stronger
function picture(sample) {
  const [name, size] = D.network.inputs[0] || ["", 0], side = Math.round(size ** 0.5);
  if (side * side !== size || side < 4) { $("picture").innerHTML = ""; return; }
  const packed = bytes(sample.inputs[name]), weight = new Float32Array(size);
  for (let s = 0; s < steps; s++) for (let i = 0; i < size; i++) weight[i] += bit(packed, size, s, i) * (steps - s);
  const most = Math.max(...weight, 1);
  let out = "";
  weight.forEach((w, i) => { if (w) out += `<rect x="${i % side}" y="${Math.floor(i / side)}" width="1.02" height="1.02" fill="var(--ink)" opacity="${(w / most).toFixed(2)}"/>`; });
  $("picture").innerHTML = `<svg role="img" viewBox="0 0 ${side} ${side}" width="112" style="border:1px solid var(--line)"><title>${escaped(name)} as a picture</title>${out}</svg><p class="soft">${escaped(name)}: the earlier a spike, the stronger</p>`;
}

function neurons() {  // the busiest first; of those that never spike, the one whose state moves most
  const sample = D.samples[chosen.sample], layer = layers.find(l => l.name === chosen.population), [t] = traces(sample, layer), found = [];
  for (let i = 0; i < layer.size; i++) {
    let n = 0, low = Infinity, high = -Infinity;
    for (let s = 0; s < steps; s++) { n += t.spike(s, i); if (t.known) { low = Math.min(low, t.value(s, i)); high = Math.max(high, t.value(s, i)); } }
    found.push({i, n, range: t.known ? high - low : 0});
  }
  found.sort((a, b) => b.n - a.n || b.range - a.range || a.i - b.i);
  $("neuron").innerHTML = found.map(({i, n}) => `<option value="${i}">${i} (${n} spike${n === 1 ? "" : "s"})</option>`).join("");
  return (found.find(one => one.range) || found[0]);  // a flat line shows nothing
}

function draw(neuron) {
  const sample = D.samples[chosen.sample];
  document.querySelectorAll("#sample-bar button").forEach((b, i) => b.setAttribute("aria-pressed", i === chosen.sample));
  $("sample-about").textContent = `Sample ${sample.n}` + (sample.label === null ? "" : `: a ${sample.label}`)
    + D.backends.map((name, i) => sample.answers[i] === null ? "" : `, ${name} says ${sample.answers[i]}`).join("");
  picture(sample); raster(sample); pick(neuron);
}

function pick(neuron) {  // the neuron whose state is drawn
  const first = neurons();
  chosen.neuron = neuron === undefined ? first.i : neuron;
  $("population").value = chosen.population;
  $("neuron").value = chosen.neuron;
  membrane(D.samples[chosen.sample]);
}

// the sample of this number, its neuron if one is named; false if the page does not hold it
function see(n, population, neuron) {
  const at = D.samples.findIndex(s => s.n === n);
  if (at < 0) return false;
  chosen.sample = at;
  if (population) chosen.population = population;
  draw(neuron);
  location.hash = "#samples";
  return true;
}

function samples() {
  $("sample-bar").innerHTML = D.samples.map(s => `<button data-sample="${s.n}">sample ${s.n}${s.label !== null && s.answers[0] !== null && s.label !== s.answers[0] ? " (wrong)" : ""}</button>`).join("")
    + (D.left_out.length ? `<span class="soft">no room for samples ${D.left_out.join(", ")}</span>` : "");
  if (!D.samples.length) { $("sample-about").textContent = "No sample was kept: spikeloop compare --keep N."; return; }
  document.querySelectorAll("#sample-bar button").forEach((b, i) => b.onclick = () => { chosen.sample = i; draw(); });
  $("population").innerHTML = layers.map(l => `<option>${escaped(l.name)}</option>`).join("");
  $("population").onchange = e => { chosen.population = e.target.value; pick(); };
  $("neuron").onchange = e => pick(+e.target.value);
  const recorded = Object.keys(states).filter(part => Object.keys(D.samples[0].states[part]).length);
  $("state").innerHTML = recorded.map(part => `<option value="${part}">${states[part]}</option>`).join("");
  $("state").onchange = e => { chosen.state = e.target.value; pick(chosen.neuron); };
  // at first the output layer, unless nothing moves there
  const [first] = D.samples, moves = name => { const v = first.states.membranes[name]; return v && int32(v).some(one => one); };
  if (!moves(chosen.population)) chosen.population = (layers.find(l => moves(l.name)) || {name: chosen.population}).name;
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
    for (const [name, [, columns, , groups]] of Object.entries(c.holds)) { const h = 100 * columns / c.columns_of;
      for (const [first, axons] of groups) parts += `<rect x="${100 * first / c.axons_of}" y="${y}" width="${100 * axons / c.axons_of}" height="${h}" fill="${of[name]}"><title>${escaped(name)}: axons ${first} to ${first + axons - 1}</title></rect>`;
      y += h; }
    const place = onMesh ? `;grid-column:${c.core % across + 1};grid-row:${Math.floor(c.core / across) + 1}` : "";
    return `<button class="core" data-core="${i}" style="max-width:340px${place}"><svg role="img" viewBox="-1 -1 102 102"><title>crossbar of ${D.each} ${c.core}</title><rect width="100" height="100" fill="var(--page)" stroke="var(--line)"/>${parts}</svg>${D.each} ${c.core}: ${Math.round(100 * c.axons / c.axons_of)} % axons, ${Math.round(100 * c.columns / c.columns_of)} % columns</button>`;
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
  $("cycles-keys").innerHTML = D.cycles.map(c => key(colour(D.backends.indexOf(c.name)), `${c.name} (${c.measured ? "measured" : "predicted"})`, 8)).join("");
  chart($("cycles-plot"), {
    name: "cycles", label: "Cycles of a tick against the events it scanned", x: [0, most * 1.02], y: [0, high * 1.05], height: 340,
    axis: {x: {label: "events scanned in a tick"}, y: {values: (u, splits) => splits.map(v => count(v))}},
    paint: ({ctx, x, y}, px) => { for (const c of D.cycles) { ctx.strokeStyle = ctx.fillStyle = css(`--c${D.backends.indexOf(c.name) % 6}`); ctx.lineWidth = px;
      for (const [e, v] of c.points) { ctx.beginPath(); ctx.arc(x(e), y(v), (c.measured ? 1.6 : 4) * px, 0, 7); c.measured ? ctx.fill() : ctx.stroke(); } } },
    hover: (xv, yv) => { let best = null, near = Infinity;
      for (const c of D.cycles) for (const [e, v] of c.points) { const d = ((e - xv) / most) ** 2 + ((v - yv) / high) ** 2; if (d < near) [near, best] = [d, [c.name, e, v]]; }
      if (best) $("cycles-readout").textContent = `${best[0]}: ${count(best[1])} events, ${count(best[2])} cycles`; },
    csv: () => [["backend", "events", "cycles"], ...D.cycles.flatMap(c => c.points.map(([e, v]) => [c.name, e, v]))],
  });
}

// -- confusion -------------------------------------------------------------------------------------------------
function answers() {
  const a = D.answers;
  if (!a) { $("answers-title").textContent = "The stimulus has no labels."; $("misread").closest("section").hidden = true; return; }
  const classes = Math.max(...a.labels, ...a.answers) + 1, matrix = Array.from({length: classes}, () => Array.from({length: classes}, () => []));
  a.labels.forEach((label, i) => matrix[label][a.answers[i]].push(i));
  const right = matrix.reduce((n, row, i) => n + row[i].length, 0);
  $("answers-title").textContent = `${a.backend}: ${count(right)} of ${count(a.labels.length)} right (${(100 * right / a.labels.length).toFixed(2)} %); label down, answer across`;
  const rows = matrix.map((row, i) => { const total = row.reduce((n, cell) => n + cell.length, 0) || 1;
    return `<tr><th>${i}</th>` + row.map((cell, j) => `<td data-n="${cell.length}" data-at="${i},${j}" style="background:color-mix(in srgb, ${i === j ? "var(--good)" : "var(--bad)"} ${Math.round(i === j ? 50 * cell.length / total : Math.min(50, 300 * cell.length / total))}%, transparent)">${cell.length || ""}</td>`).join("") + "</tr>"; });
  $("confusion").innerHTML = "<tr><td></td>" + matrix.map((_, j) => `<th>${j}</th>`).join("") + "</tr>" + rows.join("");
  $("answers-of").textContent = "Click on a cell for its samples.";
  $("confusion").onclick = e => { if (!e.target.dataset.at) return;
    const [i, j] = e.target.dataset.at.split(",").map(Number), found = matrix[i][j];
    $("answers-of").innerHTML = `label ${i}, answer ${j}: ${count(found.length)} sample${found.length === 1 ? "" : "s"}: ${links(found)}`; };
  const wrong = a.labels.map((label, i) => i).filter(i => a.labels[i] !== a.answers[i]);
  $("misread-title").textContent = `Wrong answers: ${count(wrong.length)}`;
  $("misread").innerHTML = links(wrong, i => ` (a ${a.labels[i]}, said ${a.answers[i]})`) || "none";
  document.addEventListener("click", e => { if (e.target.dataset.see !== undefined) { e.preventDefault(); see(+e.target.dataset.see); } });
}

// numbers of samples; those whose traces the page holds are links to them
function links(samples, more = () => "") {
  const drawn = new Set(D.samples.map(s => s.n)), first = [...samples].sort((a, b) => drawn.has(b) - drawn.has(a) || a - b);
  return first.slice(0, 40).map(n => (drawn.has(n) ? `<a href="#samples" data-see="${n}">${n}</a>` : n) + more(n)).join(", ") + (first.length > 40 ? ", ..." : "");
}

// -- a difference: what each backend had in the step before it, in it and in the one after ------------------------
function around(table) {
  const first = D.firsts[+table.dataset.pair], sample = first && first.population !== null && D.samples.find(s => s.n === first.sample);
  if (!sample) return;
  const layer = layers.find(l => l.name === first.population), shown = Object.keys(states).filter(part => layer.name in sample.states[part]), columns = [];
  for (const part of [...shown, null]) {
    const was = chosen.state;
    chosen.state = part || "membranes";
    for (const t of traces(sample, layer)) if (part ? t.known : true) columns.push([`${t.name}: ${part ? states[part] : "spike"}`, s => part ? count(t.value(s, first.neuron)) : t.name === "expected" && s < D.expected_first ? "not known" : t.spike(s, first.neuron) ? "yes" : "no"]);
    chosen.state = was;
  }
  const rows = [first.step - 1, first.step, first.step + 1].filter(s => s >= 0 && s < steps);
  table.innerHTML = `<tr><th>step</th>${columns.map(([name]) => `<th>${escaped(name)}</th>`).join("")}</tr>`
    + rows.map(s => `<tr class="${s === first.step ? "at" : ""}"><td>${s}</td>${columns.map(([, value]) => `<td>${value(s)}</td>`).join("")}</tr>`).join("");
}

for (const button of document.querySelectorAll("button.show")) button.onclick = () => {
  if (!see(+button.dataset.sample, button.dataset.population, +button.dataset.neuron)) button.replaceWith("(its traces have no room in this page: spikeloop compare --keep)");
};
activity(); samples(); mapping(); cycles(); answers(); show();
for (const table of document.querySelectorAll("table.around")) around(table);
