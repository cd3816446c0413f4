// The page: what is shown (`state`), what changes it, and one update a frame.

const data = JSON.parse(byId("data").textContent);
const heat = colorTable(data.heat, 0.15, 0.85),
  solidHeat = colorTable(data.heat, 1, 1);

const state = {
  index: 0,
  image: null,
  layers: [],
  pins: [],
  pointer: null,
  channel: 0,
  live: null,
  heatStops: data.heat.map(cssColor),
  removePin,
  goTo,
  setLayer,
  showAlone,
};
const stage = new Stage(byId("stage"), byId("layers"), { point, leave: () => {}, click: pinAt, view: viewChanged });

// Everything that is out of date, at most once a frame.
let requested = 0;
let pointed = true; // whether the panels lag behind the pointer
let moved = true; // whether the outlines lag behind the view

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
  const { image, pointer } = state,
    id = pointer && segmentAt(image, "answer", pointer)?.id;
  for (const button of byId("segment-list").querySelectorAll("button"))
    button.classList.toggle("here", button.dataset.id === String(id));
}

function pointerChanged() {
  pointed = true;
  for (const layer of state.layers) if (layer.key === "affinity" || layer.key === "together") layer.stale = true;
  requestUpdate();
}

// The pixel and the cell at a point of the image, kept inside it.
function pixelAt(x, y) {
  const { image } = state,
    within = (value, length) => Math.min(Math.max(Math.floor(value), 0), length - 1);
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
  const { image } = state,
    from = state.pointer ?? pixelAt(image.width / 2, image.height / 2);
  const x = Math.min((from.column + columns + 0.5) * image.cellWidth, image.width - 1);
  const y = Math.min((from.row + rows + 0.5) * image.cellHeight, image.height - 1);
  goTo(Math.max(x, 0), Math.max(y, 0));
}

async function showImage(index) {
  const count = data.images.length,
    image = await decodeImage(data.images[(index + count) % count]);
  const switches = new Map(state.layers.map(({ key, on, opacity }) => [key, { on, opacity }]));
  Object.assign(state, {
    index: (index + count) % count,
    image,
    pins: [],
    pointer: null,
    channel: 0,
    row: undefined,
    together: undefined,
    live: null,
  });
  state.layers = layersOf(image).map((layer) => ({ ...layer, ...switches.get(layer.key) }));
  for (const layer of state.layers.filter(({ level }) => level)) {
    layer.canvas = layer.cells ? canvasOf(image.columns, image.rows) : canvasOf(image.width, image.height);
    layer.canvas.className = layer.cells ? "cells" : "";
    const [width, height] = layer.cells
      ? [image.columns * image.cellWidth, image.rows * image.cellHeight]
      : [image.width, image.height];
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
  const largest =
    image.maps.answer.segments.filter(({ thing }) => thing).sort((a, b) => b.area - a.area)[0] ?? image.maps.answer.segments[0];
  point(...(largest?.middle ?? [image.width / 2, image.height / 2]));
  chooseChannelHere();
  update();
}

function nextTheme() {
  const root = document.documentElement,
    themes = ["", "dark", "light"];
  root.dataset.theme = themes[(themes.indexOf(root.dataset.theme ?? "") + 1) % 3];
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
