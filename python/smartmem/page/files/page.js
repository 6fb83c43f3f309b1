"use strict";
// Totals, tables, search and selection. What is chosen is a set of layers: names of the
// user's operators. Both graphs, the table and the details show the same set.

const started = performance.now();
const { report, places } = JSON.parse(document.getElementById("data").textContent);
const before = report.graphs.before.nodes;
const after = report.graphs.after.nodes;
const fates = report.graphs.fates;
const costs = new Map(report.kernel_costs.map((cost) => [cost.number, cost]));
const layouts = new Map(report.layouts.map((layout) => [layout.name, layout]));
const $ = (id) => document.getElementById(id);
const state = { layers: new Set(), node: null, search: "", filter: "", tab: "operators", rows: 200, sort: {} };

// ---- what is written as text
const bytes = (size) => {
  const units = ["B", "KiB", "MiB", "GiB"];
  let unit = 0;
  while (size >= 1024 && unit < 3) { size /= 1024; unit += 1; }
  return (unit ? size.toFixed(1) : size) + " " + units[unit];
};
const time = (s) => s == null ? "" : s < 1e-3 ? (s * 1e6).toFixed(1) + " us" : s < 1 ? (s * 1e3).toFixed(2) + " ms" : s.toFixed(2) + " s";
const element = (tag, content = "", properties = {}) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...[content].flat().filter((part) => part !== ""));
  return made;
};
// Inputs come first in both graphs.
const nameOf = (node) => (node.kind === "input" && report.inputs[node.id]?.name) || node.name;
const costOf = (node) => (node.number == null ? undefined : costs.get(node.number));
const secondsOf = (cost) => (cost ? cost.measured_s ?? cost.predicted_s : null);
const title = (node) => node.number != null ? "kernel " + node.number : node.kind === "outside" ? "kernel of IREE" : node.kind;
const layersOf = (node) => node.layers ?? (node.layer ? [node.layer] : []);
const shown = (rows) => rows.join(", ");

// ---- totals
function writeTotals() {
  const arrow = (a, b) => (a == null ? String(b) : a + " → " + b);
  const { before: first, after: last, kernels } = report;
  const sum = (name) => report.kernel_costs.reduce((total, cost) => total + (cost[name] ?? 0), 0);
  const measured = report.kernel_costs.filter((cost) => cost.measured_s != null).length;
  const moved = first.kernels && last.kernels
    ? [bytes(first.kernels.bytes_moved), bytes(last.kernels.bytes_moved), "bytes read and written by kernels"]
    : [bytes(first.operations.bytes_moved), bytes(last.operations.bytes_moved), "bytes by data movement"];
  const cards = [
    ["operators", before.filter((node) => node.kind === "operator").length, "operators as imported"],
    ["movements", arrow(first.operations.data_movement, last.operations.data_movement), "data movement, before → after"],
    ["kernels", arrow(first.kernels?.count, kernels.kernels), "kernels"],
    ["movement-kernels", report.movement_kernels == null
      ? String(after.filter((node) => node.kind === "movement").length)
      : arrow(first.kernels?.data_movement, report.movement_kernels), "movement kernels"],
    ["bytes", arrow(moved[0], moved[1]), moved[2]],
    ["predicted", time(sum("predicted_s")) || "unknown", "predicted time of its kernels"],
    ["measured", measured ? time(sum("measured_s")) : "not measured", `measured time of ${measured} of ${costs.size} kernels`],
    ["module", bytes(report.module_bytes), "compiled module"],
    ["compile-time", time(report.seconds.total), "compile time"],
  ];
  $("totals").append(...cards.map(([name, value, what]) => {
    const card = element("div", [element("b", String(value)), element("span", what)], { className: "total" });
    card.dataset.total = name;
    return card;
  }));
  const worker = { import: "outside", smartmem: "eliminated", "iree-compile": "computed" };
  const bar = element("div", report.stages.map((stage) => {
    const part = element("div", stage.name, { title: `${stage.name}, by ${stage.worker}: ${time(stage.seconds)}` });
    part.style.cssText = `flex:${stage.seconds};background:var(--${worker[stage.worker]})`;
    return part;
  }), { className: "bar" });
  $("stages").append(element("div", "Compile time by stage: " + ["import", "smartmem", "iree-compile"]
    .map((name) => `${name} ${time(report.seconds[name])}`).join(", ")), bar);
}

// ---- graphs
function describeOperator(node) {
  const outcome = fates[node.id].outcome;
  const what = node.kind === "operator" ? shortOp(node.name) : nameOf(node);
  return { data: { label: what + (node.layer && node.kind === "operator" ? "\n" + shorten(node.layer) : "") }, classes: outcome };
}
const slowest = Math.max(...report.kernel_costs.map(secondsOf), 1e-12);
function describeKernel(node) {
  const seconds = secondsOf(costOf(node));
  const label = node.kind === "weight" ? shorten(node.name, 16)
    : ["input", "output"].includes(node.kind) ? nameOf(node)
      : `${title(node)}${seconds == null ? "" : ", " + time(seconds)}\n${shorten(node.layers[0] ?? shortOp(node.name))}`;
  const classes = { kernel: "kernel computed", movement: "kept", input: "none", output: "none" }[node.kind] ?? node.kind;
  return { data: { label, heat: 0.08 + 0.6 * ((seconds ?? 0) / slowest) }, classes };
}
function kernelEdge(source, target) {
  const layout = layouts.get("kernel " + source.number);
  const loads = source.number == null ? null : layout?.reads.filter((read) => read.kernel === target.number).map((read) => read.loads);
  const label = source.kind === "weight" ? "" : shapeText(source.shape, source.dtype) + (loads?.length ? ", " + loads.join(" and ") : "");
  return { label, classes: loads?.includes("strided") ? "strided" : "" };
}
const modelEdge = (source) => ({ label: shapeText(source.shape, source.dtype), classes: "" });
const drawn = {};
function drawGraphs() {
  const model = elements(report.graphs.before, places.before, describeOperator, modelEdge);
  const kernels = elements(report.graphs.after, places.after, describeKernel, kernelEdge);
  drawn.before = drawGraph("before", model.nodes, model.edges, (node) => choose(before[Number(node.id())]));
  drawn.after = drawGraph("after", kernels.nodes, kernels.edges, (node) => choose(after[Number(node.id())]));
  $("before-count").textContent = `(${before.length} nodes)`;
  $("after-count").textContent = after.length ? `(${after.filter((n) => n.kind !== "weight").length} nodes, ${costs.size} kernels)`
    : "(nothing is known: the passes were given up)";
}

// ---- selection
function choose(node, layers = layersOf(node)) {
  state.node = node;
  state.layers = new Set(layers);
  show(true);
}
const isChosen = (node) => node === state.node || layersOf(node).some((layer) => state.layers.has(layer));
function show(move = false) {
  const ids = { before: before.filter(isChosen).map((n) => n.id), after: after.filter(isChosen).map((n) => n.id) };
  mark(drawn.before, new Set(ids.before), (id) => passes(before[id]));
  mark(drawn.after, new Set(ids.after), (id) => passes(after[id]));
  if (move) for (const side of ["before", "after"]) {
    const own = state.node && (side === "before" ? before : after)[state.node.id] === state.node;
    goTo(drawn[side], own ? [state.node.id] : ids[side].filter((id) => side === "before" || after[id].kind !== "weight"));
  }
  writeDetails();
  writeTable();
}
function passes(node) {
  const text = (node.name + " " + layersOf(node).join(" ") + " " + title(node)).toLowerCase();
  if (state.search && !text.includes(state.search)) return false;
  return !state.filter || node.layers !== undefined || fates[node.id].outcome === state.filter;
}

// ---- details
function list(head, items) {
  if (!items.length) return [];
  return [element("h3", head), element("ul", items.map((item) => element("li", item)))];
}
function link(node) {
  const made = element("button", `${title(node)}: ${shorten(node.name, 40)}`, { type: "button" });
  made.onclick = () => choose(node);
  return made;
}
function writeDetails() {
  const node = state.node;
  if (!node) {
    $("details").replaceChildren(element("h2", "Nothing is chosen"), element("p",
      "Choose an operator, a kernel or a row: its layers are marked in both graphs and in the tables."));
    return;
  }
  const isOperator = node.layers === undefined && node.layer !== undefined;
  const rows = isOperator ? operatorRows(node) : kernelRows(node);
  const remarks = report.remarks.filter((remark) => state.layers.has(remark.layer));
  const told = new Map();
  for (const { argument, applied, reason } of remarks) {
    const text = `${argument.replace("smartmem-", "")}${applied ? "" : ", refused"}: ${reason}`;
    told.set(text, (told.get(text) ?? 0) + 1);
  }
  $("details").replaceChildren(
    element("h2", isOperator ? node.name : title(node)),
    element("dl", rows.flatMap(([name, value]) => [element("dt", name), element("dd", value)])),
    ...(isOperator ? list("What became of it", [fates[node.id].outcome, ...fates[node.id].reasons]) : []),
    ...(isOperator ? list("Kernels of its layer", fates[node.id].kernels.map((id) => link(after[id]))) : []),
    ...list("Layers", [...state.layers]),
    ...list("Weights", after.filter((n) => n.kind === "weight" && isChosen(n)).map(weightText)),
    ...list("Decisions of the passes", [...told].map(([text, count]) => (count > 1 ? count + " times " : "") + text)),
  );
}
const operatorRows = (node) => [
  ["layer", node.layer || "unknown"], ["result", shapeText(node.shape, node.dtype)], ["size", bytes(node.bytes)],
  ...(node.group ? [["group", node.group], ["mapping", node.mapping]] : []),
  ...(node.movement ? [["movement", node.movement]] : []),
];
function kernelRows(node) {
  const cost = costOf(node), layout = layouts.get(node.kind === "weight" ? node.name : "kernel " + node.number);
  return [
    ["computes", node.name], ["result", shapeText(node.shape, node.dtype)], ["size", bytes(node.bytes)],
    ...(layout ? [["lies so because", layout.reason], ["read by", shown(layout.reads.map((r) => `kernel ${r.kernel} (${r.loads})`)) || "none"]] : []),
    ...(cost ? [["predicted", time(cost.predicted_s)], ["measured", time(cost.measured_s) || "not measured"],
      ["bytes", bytes(cost.bytes)], ["FLOPs", cost.flops.toLocaleString("en")], ["key", cost.key ?? "none"]] : []),
  ];
}
const weightText = (node) => `${node.name}: ${shapeText(node.shape, node.dtype)}, ${layouts.get(node.name)?.reason ?? "as imported"}`;

// ---- tables: each has columns (head, cell, number?) and rows (node or values)
const number = true;
const TABLES = {
  operators: { rows: () => before.filter((n) => n.kind === "operator"), layers: layersOf, columns: [
    ["#", (n) => n.id, number], ["operation", nameOf], ["layer", (n) => n.layer],
    ["became", (n) => fates[n.id].outcome], ["row of the table and reason", (n) => fates[n.id].reasons.join("; ")],
    ["group", (n) => n.group], ["movement", (n) => n.movement ?? ""], ["result", (n) => shapeText(n.shape, n.dtype)],
    ["bytes", (n) => n.bytes, number, bytes]] },
  kernels: { rows: () => after.filter((n) => ["kernel", "outside", "movement"].includes(n.kind)), layers: layersOf, columns: [
    ["kernel", (n) => n.number ?? -1, number, (v) => (v < 0 ? "IREE's" : v)], ["kind", (n) => n.kind],
    ["layers", (n) => shown(n.layers)], ["computes", (n) => n.name],
    ["predicted", (n) => costOf(n)?.predicted_s ?? 0, number, (v) => (v ? time(v) : "")],
    ["measured", (n) => costOf(n)?.measured_s ?? 0, number, (v) => (v ? time(v) : "")],
    ["bytes", (n) => costOf(n)?.bytes ?? 0, number, (v) => (v ? bytes(v) : "")],
    ["FLOPs", (n) => costOf(n)?.flops ?? 0, number, (v) => v.toLocaleString("en")],
    ["result in memory", (n) => shapeText(n.shape, n.dtype)]] },
  weights: { rows: () => after.filter((n) => n.kind === "weight"), layers: layersOf, columns: [
    ["weights", (n) => n.name], ["layer", (n) => shown(n.layers)], ["in memory", (n) => shapeText(n.shape, n.dtype)],
    ["packing", (n) => layouts.get(n.name)?.reason ?? "as imported"], ["bytes", (n) => n.bytes, number, bytes]] },
  layouts: { rows: () => report.layouts, layers: layoutLayers, columns: [
    ["tensor", (t) => t.name], ["kind", (t) => t.kind], ["in memory", (t) => shapeText(t.shape, t.dtype)],
    ["read by", (t) => shown(t.reads.map((r) => `kernel ${r.kernel} (${r.loads})`))],
    ["storage", (t) => t.storage], ["why", (t) => t.reason], ["bytes", (t) => t.bytes, number, bytes]] },
  decisions: { rows: () => report.remarks, layers: (r) => (r.layer ? [r.layer] : []), columns: [
    ["pass", (r) => r.argument.replace("smartmem-", "")], ["decision", (r) => (r.applied ? "applied" : "refused")],
    ["operation", (r) => r.op], ["layer", (r) => r.layer], ["reason", (r) => r.reason]] },
  stages: { rows: () => report.stages, layers: () => [], columns: [
    ["stage", (s) => s.name], ["by", (s) => s.worker], ["time", (s) => s.seconds, number, time],
    ["data movement after it", (s) => s.data_movement ?? -1, number, (v) => (v < 0 ? "" : v)]] },
};
function layoutLayers(tensor) {
  const node = after.find((n) => (n.kind === "weight" ? n.name : "kernel " + n.number) === tensor.name);
  return node ? node.layers : [];
}
function tableRows() {
  const { rows, columns, layers } = TABLES[state.tab];
  let found = rows().map((row) => ({ row, cells: columns.map((column) => column[1](row)) }));
  if (state.search) found = found.filter(({ cells }) => cells.join(" ").toLowerCase().includes(state.search));
  if (state.filter && state.tab === "operators") found = found.filter(({ row }) => fates[row.id].outcome === state.filter);
  const sort = state.sort[state.tab];
  if (sort) {
    const compare = columns[sort.column][2] ? (a, b) => a - b : (a, b) => String(a).localeCompare(String(b));
    found.sort((a, b) => sort.sign * compare(a.cells[sort.column], b.cells[sort.column]));
  }
  const chosen = ({ row }) => layers(row).some((layer) => state.layers.has(layer));
  return found.map((entry) => ({ ...entry, chosen: chosen(entry) }));
}
function writeTable() {
  const { columns, layers } = TABLES[state.tab];
  const found = tableRows();
  const visible = [...found.filter((entry) => entry.chosen), ...found.filter((entry) => !entry.chosen)].slice(0, state.rows);
  const head = element("tr", columns.map(([name], column) => {
    const button = element("button", name, { type: "button" });
    const sort = state.sort[state.tab];
    const cell = element("th", button);
    if (sort?.column === column) cell.ariaSort = sort.sign > 0 ? "ascending" : "descending";
    button.onclick = () => {
      state.sort[state.tab] = { column, sign: sort?.column === column ? -sort.sign : columns[column][2] ? -1 : 1 };
      writeTable();
    };
    return cell;
  }));
  const body = visible.map(({ row, cells, chosen }) => {
    const line = element("tr", cells.map((cell, index) => element("td", String((columns[index][3] ?? String)(cell)),
      { className: columns[index][2] ? "number" : "" })), { className: chosen ? "chosen" : "" });
    line.onclick = () => choose(row.kind && row.id !== undefined ? row : nodeOf(layers(row)), layers(row));
    return line;
  });
  const more = element("p", `${visible.length} of ${found.length} rows` + (state.layers.size ? "; what is chosen comes first" : "") + ". ");
  if (visible.length < found.length) {
    const button = element("button", "Show more", { type: "button" });
    button.onclick = () => { state.rows += 1000; writeTable(); };
    more.append(button);
  }
  $("table").replaceChildren(more, element("table", [element("thead", head), element("tbody", body)]));
  for (const tab of $("tabs").children) tab.ariaSelected = String(tab.dataset.tab === state.tab);
}
const nodeOf = (layers) => after.find((n) => n.kind !== "weight" && n.layers.some((layer) => layers.includes(layer)))
  ?? before.find((n) => layers.includes(n.layer)) ?? null;

// ---- the page
function writeLegend() {
  const kinds = { computed: "computed by a kernel", merged: "merged with its neighbours", eliminated: "eliminated movement (dashed)",
    kept: "movement that is left", constant: "carried out while compiling", outside: "in no group: IREE's kernel", weight: "weights" };
  $("legend").append(...Object.entries(kinds).map(([kind, text]) => {
    const box = element("i");
    box.style.background = `var(--${kind})`;
    return element("li", [box, text]);
  }), element("li", "a deeper blue: a slower kernel; a red edge: strided loads"));
  const outcomes = [...new Set(fates.map((fate) => fate.outcome))].filter((outcome) => outcome !== "none").sort();
  $("filter").append(element("option", "all operators", { value: "" }),
    ...outcomes.map((name) => element("option", `${name} (${fates.filter((f) => f.outcome === name).length})`, { value: name })));
}
function setTheme(name) {
  document.documentElement.dataset.theme = name;
  for (const graph of Object.values(drawn)) graph.style(style());
}
function listen() {
  let waiting = 0;
  $("search").oninput = (event) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => { state.search = event.target.value.trim().toLowerCase(); state.rows = 200; show(); }, 120);
  };
  $("search").onkeydown = (event) => {
    if (event.key !== "Enter") return;
    state.search = event.target.value.trim().toLowerCase();
    const found = [...before, ...after].filter((node) => state.search && passes(node));
    const next = found[(found.indexOf(state.node) + 1) % found.length];
    if (next) choose(next);
  };
  $("filter").onchange = (event) => { state.filter = event.target.value; show(); };
  $("weights").onchange = (event) => drawn.after.nodes(".weight").toggleClass("shown", event.target.checked);
  $("clear").onclick = () => { state.node = null; state.layers = new Set(); show(); };
  $("theme").onclick = () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  $("tabs").append(...Object.keys(TABLES).map((name) => {
    const tab = element("button", name, { type: "button", role: "tab" });
    tab.dataset.tab = name;
    tab.onclick = () => { state.tab = name; state.rows = 200; writeTable(); };
    return tab;
  }));
}

$("title").textContent = report.model;
$("subtitle").textContent = `${report.source} model for target ${report.target} at ${report.opt_level}, SmartMem ${report.smartmem_version}`
  + (report.fallbacks.length ? `; ${report.fallbacks.length} things were given up` : "");
setTheme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
writeTotals();
writeLegend();
listen();
drawGraphs();
show();
window.smartmem = { ...drawn, state, choose, readyMs: performance.now() - started };
document.body.dataset.ready = "true";
