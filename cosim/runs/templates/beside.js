const who = ["first", "second"];
$("keys").innerHTML = who.map((name, i) => key(colour(i), name)).join("");
D.layers.forEach((layer, n) => {
  const high = Math.max(1e-9, ...layer.runs.flatMap(run => run ? run.steps : []));
  chart($(`steps-${n}`), {
    name: `steps-${layer.name}`, label: `${layer.name}: spikes of a sample at each step, in both runs`, x: [-0.5, D.steps - 0.5], y: [0, high * 1.05], height: 170,
    axis: {x: {label: "step"}, y: {values: (u, splits) => splits.map(v => count(v))}},
    paint: ({ctx, x, y}, px) => layer.runs.forEach((run, i) => {
      if (!run) return;
      ctx.strokeStyle = css(`--c${i}`); ctx.lineWidth = [5, 1.8][i] * px; ctx.globalAlpha = [0.5, 1][i];
      ctx.beginPath();
      run.steps.forEach((v, s) => { ctx.lineTo(x(s - 0.5), y(v)); ctx.lineTo(x(s + 0.5), y(v)); });
      ctx.stroke(); ctx.globalAlpha = 1;
    }),
    hover: xv => { const s = Math.round(xv); $(`at-${n}`).textContent = `step ${s}: ` + layer.runs.map((run, i) => `${who[i]} ${run && s in run.steps ? count(run.steps[s]) : "-"}`).join(", "); },
    csv: () => [["step", ...who], ...[...Array(D.steps).keys()].map(s => [s, ...layer.runs.map(run => run?.steps[s] ?? "")])],
  });
});
