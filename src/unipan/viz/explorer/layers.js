// The layers: which there are, and how each is painted.

const SCALE_SHARES = [0.002, 0.998]; // the values of a channel between these quantiles span the colors

// The layers of an image, in the order of the list; `level` says what lies over what. paint(layer) fills the canvas and
// returns a legend.
function layersOf(image) {
  const { maps, parts } = image,
    both = logitParts(image).length > 1;
  const found = [
    { key: "affinity", title: "Affinity", level: 9, on: true, cells: true, needs: image.affinity, paint: paintAffinity },
    { key: "together", title: "Same segment", level: 9, cells: true, needs: image.shares, paint: paintTogether },
    { key: "answer", title: "Answer", level: 4, opacity: 0.6, paint: (layer) => paintMap(layer, maps.answer) },
    { key: "outlines", title: "Outlines", on: true, opacity: 0.8, paint: () => {} },
    { key: "labels", title: "Labels", on: true, paint: () => {} },
    { key: "truth", title: "Truth", level: 3, opacity: 0.6, needs: maps.truth, paint: (layer) => paintMap(layer, maps.truth) },
    { key: "semantic", title: "Semantic map", level: 2, opacity: 0.6, paint: paintSemantic },
    { key: "boxes", title: "Boxes", paint: () => "Solid: a channel of the answer. Dashed: found, but not sure enough." },
    {
      key: "masks",
      title: "Masks",
      level: 5,
      opacity: 0.75,
      needs: image.detections.masks,
      paint: (layer) => {
        paintMasks(layer.canvas, image.detections);
      },
    },
    { key: "changes", title: "Changes by propagation", level: 8, needs: maps.unpropagated, paint: paintPropagation },
    {
      key: "potential",
      title: "Channel: potential",
      level: 6,
      opacity: 0.85,
      cells: true,
      needs: parts.potential,
      paint: (layer) => paintChannel(layer, "potential"),
    },
    {
      key: "logits",
      title: "Channel: logits",
      level: 7,
      opacity: 0.85,
      cells: true,
      needs: image.channels.length,
      paint: (layer) => paintChannel(layer),
    },
    {
      key: "evidence",
      title: "Channel: evidence",
      level: 7,
      opacity: 0.85,
      cells: true,
      needs: both,
      paint: (layer) => paintChannel(layer, "evidence"),
    },
    {
      key: "unary",
      title: "Channel: unary part",
      level: 7,
      opacity: 0.85,
      cells: true,
      needs: both,
      paint: (layer) => paintChannel(layer, "unary"),
    },
    { key: "image", title: "Image", level: 1, on: true, paint: paintImage },
  ];
  return found
    .filter((layer) => !("needs" in layer) || layer.needs)
    .map((layer) => ({ on: false, opacity: 1, ...layer, stale: true }));
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
  const { image, channel } = state,
    values = part ? channelMap(image, part, channel) : logitMap(image, channel);
  const [low, high] = quantiles(values, ...SCALE_SHARES);
  paintValues(layer.canvas, values, low, high, solidHeat);
  layer.range = [low, high];
  return scale(state.heatStops, number(low), number(high));
}

// In gray below heat, so that colors mean the heat alone.
function paintImage({ canvas }) {
  const context = canvas.getContext("2d");
  context.drawImage(state.image.element, 0, 0, canvas.width, canvas.height);
  const steps =
    shows("affinity") || shows("together")
      ? [
          ["saturation", "rgb(128 128 128)"],
          ["multiply", "rgb(178 178 178)"],
          ["lighter", "rgb(30 30 30)"],
        ]
      : [];
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
  if (pins.length)
    paintStrongest(
      layer.canvas,
      pins.map(({ together, table }) => ({ row: together, low: 0, factor: 255, table })),
    );
  else if (pointer) paintValues(layer.canvas, (state.together = togetherRow(image, pointer.cell, state.together)), 0, 1, heat);
  return (
    layer.legend ?? [
      "Probability, by the affinity alone, that a cell and the pointer's (or a pin's) are of one channel.",
      scale(state.heatStops, "0", "1"),
    ]
  );
}
