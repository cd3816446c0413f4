// The page: what is shown (`state`), what changes it, and one update a frame.

const PIN_COLORS = [[230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66], [213, 94, 0], [204, 121, 167], [0, 114, 178]];  // Okabe and Ito
const SCALE_SHARES = [0.002, 0.998];  // the values of a channel between these quantiles span the colors
const data = JSON.parse(byId("data").textContent);
const heat = colorTable(data.heat, 0.15, 0.85), solidHeat = colorTable(data.heat, 1, 1);

const state = {
  index: 0, image: null, layers: [], pins: [], pointer: null, channel: 0, live: null,
  heatStops: data.heat.map(cssColor), removePin, goTo, setLayer, showAlone,
};
const stage = new Stage(byId("stage"), byId("layers"), { point, leave: () => {}, click: pinAt, view: viewChanged });

// The layers of an image, in the order of the list; `level` says what lies over what. paint(layer) fills the canvas and returns a legend.
function layersOf(image) {
  const { maps, parts } = image, both = logitParts(image).length > 1;
  const found = [
    { key: "affinity", title: "Affinity", level: 9, on: true, cells: true, needs: image.affinity, paint: paintAffinity },
    { key: "together", title: "Same segment", level: 9, cells: true, needs: image.shares, paint: paintTogether },
    { key: "answer", title: "Answer", level: 4, opacity: 0.6, paint: (layer) => paintMap(layer, maps.answer) },
    { key: "outlines", title: "Outlines", on: true, opacity: 0.8, paint: () => {} },
    { key: "labels", title: "Labels", on: true, paint: () => {} },
    { key: "truth", title: "Truth", level: 3, opacity: 0.6, needs: maps.truth, paint: (layer) => paintMap(layer, maps.truth) },
    { key: "semantic", title: "Semantic map", level: 2, opacity: 0.6, paint: paintSemantic },
    { key: "boxes", title: "Boxes", paint: () => "Solid: a channel of the answer. Dashed: found, but not sure enough." },
    { key: "masks", title: "Masks", level: 5, opacity: 0.75, needs: image.detections.masks, paint: (layer) => { paintMasks(layer.canvas, image.detections); } },
    { key: "changes", title: "Changes by propagation", level: 8, needs: maps.unpropagated, paint: paintPropagation },
    { key: "potential", title: "Channel: potential", level: 6, opacity: 0.85, cells: true, needs: parts.potential, paint: (layer) => paintChannel(layer, "potential") },
    { key: "logits", title: "Channel: logits", level: 7, opacity: 0.85, cells: true, needs: image.channels.length, paint: (layer) => paintChannel(layer) },
    { key: "evidence", title: "Channel: evidence", level: 7, opacity: 0.85, cells: true, needs: both, paint: (layer) => paintChannel(layer, "evidence") },
    { key: "unary", title: "Channel: unary part", level: 7, opacity: 0.85, cells: true, needs: both, paint: (layer) => paintChannel(layer, "unary") },
    { key: "image", title: "Image", level: 1, on: true, paint: paintImage },
  ];
  return found.filter((layer) => !("needs" in layer) || layer.needs).map((layer) => ({ on: false, opacity: 1, ...layer, stale: true }));
}

function layerOf(key) {
  return state.layers.find((layer) => layer.key === key);
}

function shows(key) {
  return Boolean(layerOf(key)?.on);
}
shows.opacity = (key) => layerOf(key).opacity;

function paintMap(layer, map) {
  paintSegments(layer.canvas, map);
  return "Colors: see the segments below. Hatched: void.";
}

function paintSemantic(layer) {
  const { semantic } = state.image.maps;
  paintSegments(layer.canvas, semantic);
  return make("p", { className: "note" }, ...semantic.segments.flatMap(({ name, color }) => [swatch(color), ` ${name}  `]));
}

function paintPropagation(layer) {
  const share = paintChanges(layer.canvas, state.image.maps.answer, state.image.maps.unpropagated);
  return `${(100 * share).toFixed(2)} % of the pixels: their color is that of the answer; dark pixels stay as they are.`;
}

function paintChannel(layer, part) {
  const { image, channel } = state, values = part ? channelMap(image, part, channel) : logitMap(image, channel);
  const [low, high] = quantiles(values, ...SCALE_SHARES);
  paintValues(layer.canvas, values, low, high, solidHeat);
  layer.range = [low, high];
  return scale(state.heatStops, number(low), number(high));
}

// In gray below heat, so that colors mean the heat alone.
function paintImage({ canvas }) {
  const context = canvas.getContext("2d");
  context.drawImage(state.image.element, 0, 0, canvas.width, canvas.height);
  const steps = shows("affinity") || shows("together") ? [["saturation", "rgb(128 128 128)"], ["multiply", "rgb(178 178 178)"], ["lighter", "rgb(30 30 30)"]] : [];
  for (const [mode, color] of steps) {
    context.globalCompositeOperation = mode;
    context.fillStyle = color;
    context.fillRect(0, 0, canvas.width, canvas.height);
  }
  context.globalCompositeOperation = "source-over";
}

function paintAffinity(layer) {
  const { pins, pointer, image } = state;
  state.live = null;
  if (pins.length) paintStrongest(layer.canvas, pins);
  else if (pointer) {
    state.row = affinityRow(image, pointer.cell, state.row);
    const [low, high] = quantiles(state.row, ...HEAT_SHARES);
    state.live = { low, high };
    paintValues(layer.canvas, state.row, low, high, heat);
  } else layer.canvas.getContext("2d").clearRect(0, 0, layer.canvas.width, layer.canvas.height);
}

function paintTogether(layer) {
  const { pins, pointer, image } = state;
  if (pins.length) paintStrongest(layer.canvas, pins.map(({ together, table }) => ({ row: together, low: 0, factor: 255, table })));
  else if (pointer) paintValues(layer.canvas, state.together = togetherRow(image, pointer.cell, state.together), 0, 1, heat);
  return layer.legend ?? ["Probability, by the affinity alone, that a cell and the pointer's (or a pin's) are of one channel.", scale(state.heatStops, "0", "1")];
}

// Everything that is out of date, at most once a frame.
let requested = 0;
let pointed = true;  // whether the panels lag behind the pointer
let moved = true;  // whether the outlines lag behind the view

function requestUpdate() {
  requested ||= requestAnimationFrame(update);
}

function viewChanged() {
  moved = true;
  requestUpdate();
}

function update() {
  requested = 0;
  if (!state.image) return;
  for (const layer of state.layers) {
    if (!layer.on || !layer.stale) continue;
    layer.stale = false;
    const legend = layer.paint(layer);
    if (legend === layer.legend) continue;
    layer.legend = legend;
    showLegend(layer);
  }
  if (pointed) {
    pointed = false;
    showPointer(state.image, state.pointer);
    showAffinity(state);
    highlight();
  }
  const { image, pins, pointer } = state;
  if (moved) drawOutlines(byId("outlines"), { stage, image, shows });
  moved = false;
  drawMarks(byId("marks"), { stage, image, shows, pins, pointer });
}

function highlight() {
  const { image, pointer } = state, id = pointer && segmentAt(image, "answer", pointer)?.id;
  for (const button of byId("segment-list").querySelectorAll("button")) button.classList.toggle("here", button.dataset.id === String(id));
}

function pointerChanged() {
  pointed = true;
  for (const layer of state.layers) if (layer.key === "affinity" || layer.key === "together") layer.stale = true;
  requestUpdate();
}

// The pixel and the cell at a point of the image, kept inside it.
function pixelAt(x, y) {
  const { image } = state, within = (value, length) => Math.min(Math.max(Math.floor(value), 0), length - 1);
  const [column, row] = [within(x / image.cellWidth, image.columns), within(y / image.cellHeight, image.rows)];
  return { x: within(x, image.width), y: within(y, image.height), column, row, cell: row * image.columns + column };
}

function isInside(x, y) {
  return x >= 0 && y >= 0 && x < state.image.width && y < state.image.height;
}

function point(x, y) {
  if (!state.image || !isInside(x, y)) return;
  state.pointer = pixelAt(x, y);
  pointerChanged();
}

function goTo(x, y) {
  point(x, y);
  stage.reveal(x, y);
}

// Pin the cell there; where one is pinned already, remove that pin. The oldest goes where there are no more colors.
function pinAt(x, y) {
  const { image, pins } = state;
  if (!image?.affinity || !isInside(x, y)) return;
  const at = pixelAt(x, y), same = pins.findIndex((pin) => pin.cell === at.cell);
  if (same >= 0) return removePin(same);
  if (pins.length === PIN_COLORS.length) pins.shift();
  const row = affinityRow(image, at.cell), [low, high] = quantiles(row, ...HEAT_SHARES);
  const color = PIN_COLORS.find((free) => !pins.some((pin) => pin.color === free));
  const together = image.shares && togetherRow(image, at.cell);
  pins.push({ ...at, row, together, low, high, factor: high > low ? 255 / (high - low) : 0, color, table: colorTable([color, color], 0, 0.92) });
  pointerChanged();
}

function removePin(index) {
  state.pins.splice(index, 1);
  pointerChanged();
}

function clearPins() {
  state.pins = [];
  pointerChanged();
}

function setLayer(layer, change) {
  const wasOn = layer.on;
  Object.assign(layer, change);
  layer.check.checked = layer.on;
  if (layer.on !== wasOn) {
    showLegend(layer);
    layerOf("image").stale = true;
  }
  if (layer.canvas) Object.assign(layer.canvas.style, { display: layer.on ? "" : "none", opacity: layer.opacity });
  viewChanged();
}

// This layer over the image, and no other.
function showAlone(layer) {
  for (const other of state.layers) setLayer(other, { on: other === layer || other.key === "image" });
}

function setChannel(channel) {
  const count = state.image.channels.length;
  if (!count) return;
  state.channel = (channel + count) % count;
  byId("channel").value = state.channel;
  for (const key of ["potential", "logits", "evidence", "unary"]) if (layerOf(key)) layerOf(key).stale = true;
  requestUpdate();
}

// The channel that has won at the pointer.
function chooseChannelHere() {
  if (state.pointer && state.image.channels.length) setChannel(channelsAt(state.image, state.pointer.cell)[0].channel);
}

function moveBy(columns, rows) {
  const { image } = state, from = state.pointer ?? pixelAt(image.width / 2, image.height / 2);
  const x = Math.min((from.column + columns + 0.5) * image.cellWidth, image.width - 1);
  const y = Math.min((from.row + rows + 0.5) * image.cellHeight, image.height - 1);
  goTo(Math.max(x, 0), Math.max(y, 0));
}

async function showImage(index) {
  const count = data.images.length, image = await decodeImage(data.images[(index + count) % count]);
  const switches = new Map(state.layers.map(({ key, on, opacity }) => [key, { on, opacity }]));
  Object.assign(state, { index: (index + count) % count, image, pins: [], pointer: null, channel: 0, row: undefined, together: undefined, live: null });
  state.layers = layersOf(image).map((layer) => ({ ...layer, ...switches.get(layer.key) }));
  for (const layer of state.layers.filter(({ level }) => level)) {
    layer.canvas = layer.cells ? canvasOf(image.columns, image.rows) : canvasOf(image.width, image.height);
    layer.canvas.className = layer.cells ? "cells" : "";
    const [width, height] = layer.cells ? [image.columns * image.cellWidth, image.rows * image.cellHeight] : [image.width, image.height];
    Object.assign(layer.canvas.style, { width: `${width}px`, height: `${height}px`, zIndex: layer.level });
  }
  byId("layers").replaceChildren(...state.layers.filter(({ canvas }) => canvas).map(({ canvas }) => canvas));
  document.documentElement.style.setProperty("--aspect", image.height / image.width);
  byId("image").value = state.index;
  showFacts(image);
  showLayers(state);
  showChannels(state);
  showSegments(state);
  for (const layer of state.layers) setLayer(layer, {});
  stage.setImage(image.width, image.height);
  const largest = image.maps.answer.segments.filter(({ thing }) => thing).sort((a, b) => b.area - a.area)[0] ?? image.maps.answer.segments[0];
  point(...(largest?.middle ?? [image.width / 2, image.height / 2]));
  chooseChannelHere();
  update();
}

function nextTheme() {
  const root = document.documentElement, themes = ["", "dark", "light"];
  root.dataset.theme = themes[(themes.indexOf(root.dataset.theme ?? "") + 1) % 3];
}

const KEYS = {
  ArrowLeft: (step) => moveBy(-step, 0), ArrowRight: (step) => moveBy(step, 0), ArrowUp: (step) => moveBy(0, -step), ArrowDown: (step) => moveBy(0, step),
  Enter: () => state.pointer && pinAt(state.pointer.x, state.pointer.y), Backspace: () => state.pins.length && removePin(state.pins.length - 1), Escape: clearPins,
  "+": () => stage.zoomBy(1.5), "=": () => stage.zoomBy(1.5), "-": () => stage.zoomBy(1 / 1.5), 0: () => stage.fit(),
  "[": () => setChannel(state.channel - 1), "]": () => setChannel(state.channel + 1), c: chooseChannelHere,
  n: () => showImage(state.index + 1), p: () => showImage(state.index - 1), s: () => saveView(stage, state), t: nextTheme, "?": () => byId("help").showModal(),
};

function keyDown(event) {
  if (!state.image || event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
  const { target, key, code } = event, inControl = target.closest("input, button");
  const digit = /^Digit([1-9])$/.exec(code);
  if (target.closest("select")) return;
  if (digit) {
    const layer = state.layers[Number(digit[1]) - 1];
    if (layer) event.shiftKey ? showAlone(layer) : setLayer(layer, { on: !layer.on });
  } else if (key in KEYS && !(inControl && (key.startsWith("Arrow") || key === "Enter"))) KEYS[key](event.shiftKey ? 10 : 1);
  else return;
  event.preventDefault();
}

function start() {
  byId("image").replaceChildren(...data.images.map(({ name }, index) => make("option", { value: index }, name)));
  for (const id of ["previous", "next"]) byId(id).hidden = data.images.length < 2;
  byId("image").disabled = data.images.length < 2;
  byId("previous").onclick = KEYS.p;
  byId("next").onclick = KEYS.n;
  byId("image").onchange = () => showImage(Number(byId("image").value));
  byId("fit").onclick = () => stage.fit();
  byId("save").onclick = KEYS.s;
  byId("theme").onclick = nextTheme;
  byId("keys").onclick = KEYS["?"];
  byId("clear").onclick = clearPins;
  byId("channel").onchange = () => setChannel(Number(byId("channel").value));
  byId("channel-before").onclick = KEYS["["];
  byId("channel-after").onclick = KEYS["]"];
  document.addEventListener("keydown", keyDown);
  return showImage(0);
}

const ready = start();
