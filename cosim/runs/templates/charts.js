// what all pages share
"use strict";
const D = JSON.parse(document.getElementById("data").textContent);
const $ = id => document.getElementById(id);
const colour = i => `var(--c${i % 6})`;
const count = n => n.toLocaleString("en-US");
const escaped = text => String(text).replace(/[&<>"]/g, c => ({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"})[c]);
const key = (fill, text, height = 3) => `<span class="key"><i style="background:${fill};height:${height}px"></i>${escaped(text)}</span>`;

// charts that one zooms into: a frame of uPlot (axes, zoom, cursor), its inside drawn on the canvas
const charts = {};  // by name: the plots of the page
const WHOLE = [...Array(11).keys()].flatMap(e => [1, 2, 5].map(n => n * 10 ** e));  // steps of an axis of whole numbers
const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/* A chart in the element `host`, in place of the one that was there.
   name, label: of its files; what a screen reader says
   x, y:        ranges [low, high] of the whole; down: y runs downwards
   height:      pixels
   axis:        {x, y}: more options of uPlot's axes
   paint:       (to, px) draws: `to` has x(v), y(v) in canvas pixels; px canvas pixels of a pixel
   hover, click: (x, y) values under the pointer
   csv:         rows of values, the head first */
function chart(host, {name, label, x, y, down = false, height, axis = {}, paint, hover, click, csv}) {
  charts[name]?.destroy();
  host.innerHTML = `<div class="chart" role="img" aria-label="${escaped(label)}" tabindex="0"></div>
    <div class="bar tools" style="margin:6px 0 0"><button data-do="whole">whole</button><button data-do="png">PNG</button><button data-do="csv">CSV</button></div>`;
  const box = host.firstChild, own = {stroke: () => css("--soft"), font: "11px system-ui, sans-serif", ticks: {stroke: () => css("--line")}, grid: {stroke: () => css("--line"), width: 1}, incrs: WHOLE, labelSize: 18, labelGap: 0, labelFont: "11px system-ui, sans-serif"};
  const size = (u, values) => values ? 22 + 6.4 * Math.max(3, ...values.map(v => String(v ?? "").length)) : 60;  // room for the longest label
  const u = new uPlot({
    width: 992, height, legend: {show: false}, focus: {alpha: 1}, padding: [8, 12, 0, 0],
    scales: {x: {time: false, range: (u, low, high) => [low, high]}, y: {range: () => y, dir: down ? -1 : 1}},
    series: [{}, {paths: () => null, points: {show: false}}],
    axes: [{...own, size: 34, ...axis.x}, {...own, size, ...axis.y}],
    cursor: {points: {show: false}, drag: {x: true, y: true, uni: 24, dist: 5},
             bind: {mousedown: (u, target, handler) => e => e.shiftKey ? pan(u, e) : handler(e)}},
    hooks: {
      draw: [u => { const {left, top, width, height} = u.bbox, ctx = u.ctx, px = devicePixelRatio || 1;
        ctx.save(); ctx.beginPath(); ctx.rect(left, top, width, height); ctx.clip();
        paint({ctx, x: v => u.valToPos(v, "x", true), y: v => u.valToPos(v, "y", true), top, bottom: top + height}, px);
        ctx.restore(); }],
      setCursor: [u => { if (hover && u.cursor.left >= 0) hover(u.posToVal(u.cursor.left, "x"), u.posToVal(u.cursor.top, "y")); }],
    },
  }, [x, y], box);
  charts[name] = u;
  new ResizeObserver(() => { const width = box.clientWidth; if (width && width !== u.width) u.setSize({width, height}); }).observe(box);
  let pressed = null;
  u.over.addEventListener("mousedown", e => pressed = [e.clientX, e.clientY]);
  u.over.addEventListener("mouseup", e => { if (click && pressed && Math.hypot(e.clientX - pressed[0], e.clientY - pressed[1]) < 4) click(u.posToVal(u.cursor.left, "x"), u.posToVal(u.cursor.top, "y")); });
  const whole = () => view(u, x, y);
  u.over.addEventListener("dblclick", whole);
  box.addEventListener("keydown", e => {
    const step = {ArrowLeft: -0.2, ArrowRight: 0.2}[e.key], zoom = {"+": 0.7, "-": 1 / 0.7}[e.key], {min, max} = u.scales.x;
    if (step) view(u, [min + step * (max - min), max + step * (max - min)]);
    else if (zoom) { const middle = (min + max) / 2, half = (max - min) / 2 * zoom; view(u, [Math.max(x[0], middle - half), Math.min(x[1], middle + half)]); }
    else if (e.key === "0") whole();
    else return;
    e.preventDefault();
  });
  const file = `${D.network.name}-${name}`;
  host.querySelector("[data-do=whole]").onclick = whole;
  host.querySelector("[data-do=png]").onclick = () => save(file + ".png", picture_of(u));
  host.querySelector("[data-do=csv]").onclick = () => save(file + ".csv", table_of(csv()));
}

function view(u, [x0, x1], y) {
  u.batch(() => { u.setScale("x", {min: x0, max: x1}); if (y) u.setScale("y", {min: y[0], max: y[1]}); });
}

function pan(u, event) {  // until the button is let go
  const {scales: {x, y}} = u, from = [event.clientX, event.clientY], now = [x.min, x.max, y.min, y.max];
  const move = e => {
    const dx = (now[1] - now[0]) * (from[0] - e.clientX) / u.over.clientWidth, dy = (now[3] - now[2]) * (e.clientY - from[1]) / u.over.clientHeight * y.dir;
    view(u, [now[0] + dx, now[1] + dx], [now[2] + dy, now[3] + dy]);
  };
  const end = () => { removeEventListener("mousemove", move); removeEventListener("mouseup", end); };
  addEventListener("mousemove", move);
  addEventListener("mouseup", end);
}

// the canvas on the colour of the page, as a data URL
function picture_of(u) {
  const copy = document.createElement("canvas"), from = u.ctx.canvas;
  [copy.width, copy.height] = [from.width, from.height];
  const ctx = copy.getContext("2d");
  ctx.fillStyle = css("--card");
  ctx.fillRect(0, 0, copy.width, copy.height);
  ctx.drawImage(from, 0, 0);
  return copy.toDataURL("image/png");
}

const table_of = rows => "data:text/csv;charset=utf-8," + encodeURIComponent(rows.map(row => row.map(v => /[",\n]/.test(v) ? `"${String(v).replace(/"/g, '""')}"` : v).join(",")).join("\n") + "\n");

function save(name, url) {
  const link = Object.assign(document.createElement("a"), {href: url, download: name});
  document.body.append(link);
  link.click();
  link.remove();
}

// colours: as the system, or chosen; a print is always light
let printing = false;
function colours() {
  const theme = printing ? "light" : document.getElementById("theme-choice").value;
  if (theme) document.documentElement.dataset.theme = theme; else delete document.documentElement.dataset.theme;
  for (const u of Object.values(charts)) u.redraw();
}
document.getElementById("theme-choice").onchange = colours;
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", colours);
for (const [event, now] of [["beforeprint", true], ["afterprint", false]]) addEventListener(event, () => { printing = now; colours(); });
