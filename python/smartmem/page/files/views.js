"use strict";
// The two graphs. A node's places were computed when the page was written.

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
const shapeText = (shape, dtype) => [...shape, dtype].join("x");
const shorten = (text, length = 26) => (text.length > length ? "…" + text.slice(1 - length) : text);
const shortOp = (name) => name.split(" + ").map((part) => part.replace(/^[a-z_]+\./, "")).join(" + ");

function style() {
  const text = colour("text");
  const kinds = ["computed", "merged", "constant", "eliminated", "kept", "outside", "weight", "none", "unknown"];
  return [
    { selector: "node", style: {
      shape: "round-rectangle", width: 170, height: 36, "background-color": colour("panel"),
      "border-width": 2, "border-color": colour("edge"), label: "data(label)", color: text,
      "font-size": 11, "text-valign": "center", "text-wrap": "wrap", "text-max-width": 164,
      "min-zoomed-font-size": 5 } },
    ...kinds.map((kind) => ({ selector: "node." + kind, style: { "border-color": colour(kind) } })),
    { selector: "node.eliminated", style: { "border-style": "dashed" } },
    { selector: "node.kernel", style: {
      "background-color": colour("computed"), "background-opacity": "data(heat)" } },
    { selector: "node.weight", style: { width: 52, height: 14, "font-size": 6, display: "none" } },
    { selector: "node.weight.shown", style: { display: "element" } },
    { selector: "edge", style: {
      width: 1.5, "line-color": colour("edge"), "target-arrow-color": colour("edge"),
      "target-arrow-shape": "triangle", "arrow-scale": 0.7, "curve-style": "bezier",
      label: "data(label)", "font-size": 10, color: colour("faint"), "min-zoomed-font-size": 6,
      "text-background-color": colour("panel"), "text-background-opacity": 0.8 } },
    { selector: "edge.long", style: {
      "curve-style": "unbundled-bezier", "control-point-distances": 130, "control-point-weights": 0.5,
      "line-style": "dashed" } },
    { selector: "edge.strided", style: { "line-color": colour("kept") } },
    { selector: ".faded", style: { opacity: 0.15 } },
    { selector: "node.chosen", style: { "border-width": 5, "border-color": colour("chosen") } },
  ];
}

function drawGraph(id, nodes, edges, onTap) {
  const cy = cytoscape({
    container: document.getElementById(id),
    elements: { nodes, edges },
    layout: { name: "preset" },
    style: style(),
    minZoom: 0.005, maxZoom: 3,
    boxSelectionEnabled: false, autoungrabify: true, autounselectify: true,
    hideEdgesOnViewport: nodes.length > 1500, textureOnViewport: nodes.length > 1500,
  });
  cy.on("tap", "node", (event) => onTap(event.target));
  start(cy);
  return cy;
}

// Reading begins at the top, at a size that can be read: a whole network is a line.
function start(cy) {
  if (cy.nodes().empty()) return;
  cy.zoom(0.75);
  const box = cy.nodes()[0].position();
  cy.pan({ x: cy.width() / 2 - box.x * 0.75, y: 50 - box.y * 0.75 });
}

function elements(graph, places, describe, edgeOf) {
  const depth = (id) => places[id][1];
  const nodes = graph.nodes.map((node, index) => ({
    data: { id: String(node.id), ...describe(node).data },
    classes: describe(node).classes,
    position: { x: places[index][0], y: places[index][1] },
  }));
  const edges = graph.edges.map((edge, index) => {
    const long = depth(edge.target) - depth(edge.source) > 80 ? "long" : "";
    const told = edgeOf(graph.nodes[edge.source], graph.nodes[edge.target]);
    return {
      data: { id: "e" + index, source: String(edge.source), target: String(edge.target), label: told.label },
      classes: [long, told.classes].join(" "),
    };
  });
  return { nodes, edges };
}

function mark(cy, chosen, shown) {
  cy.batch(() => {
    cy.nodes().forEach((node) => {
      const id = Number(node.id());
      node.toggleClass("chosen", chosen.has(id));
      node.toggleClass("faded", !shown(id));
    });
  });
}

function goTo(cy, ids) {
  const nodes = cy.collection(ids.slice(0, 30).map((id) => cy.getElementById(String(id))));
  const first = nodes[0];
  if (!first) return;
  if (cy.zoom() < 0.4) cy.zoom(0.75);
  cy.center(first);
}
