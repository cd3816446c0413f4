// The view as an image: the layers and marks as they are seen, and below them where they come from and what colors mean.

const LINE_PX = 22;
const ITEM_PX = 300; // of one color scale

function saveView(stage, state) {
  viewCanvas(stage, state).toBlob((blob) => {
    const name = state.image.name.replace(/\.\w+$/, "").replace(/[^\w.-]+/g, "_");
    const link = make("a", { href: URL.createObjectURL(blob), download: `${name}-explorer.png` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  });
}

function viewCanvas(stage, state) {
  update();
  const ratio = window.devicePixelRatio || 1,
    { clientWidth: width, clientHeight: height } = stage.element;
  const scales = scalesShown(state),
    columns = Math.max(1, Math.floor(width / ITEM_PX));
  const foot = LINE_PX * (1 + Math.ceil(scales.length / columns)) + 6;
  const canvas = canvasOf(Math.round(width * ratio), Math.round((height + foot) * ratio)),
    context = canvas.getContext("2d");
  const { backgroundColor, color } = getComputedStyle(document.body);
  context.fillStyle = backgroundColor;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.save();
  drawLayers(context, stage, state, ratio);
  context.restore();
  for (const id of ["outlines", "marks"]) context.drawImage(byId(id), 0, 0);
  context.setTransform(ratio, 0, 0, ratio, 0, height * ratio);
  context.fillStyle = backgroundColor;
  context.fillRect(0, 0, width, foot);
  context.font = "12px system-ui, sans-serif";
  context.textBaseline = "middle";
  context.fillStyle = color;
  const shown = state.layers
    .filter(({ on, key }) => on && key !== "image" && key !== "labels")
    .map(({ title }) => title.toLowerCase());
  context.fillText(`${state.image.name} · ${sourceText(state.image)} · ${shown.join(", ")}`, 10, LINE_PX / 2 + 2, width - 20);
  scales.forEach((each, n) =>
    drawScale(context, each, 10 + (n % columns) * ITEM_PX, LINE_PX * (1.5 + Math.floor(n / columns)) + 2, color),
  );
  return canvas;
}

function drawLayers(context, stage, { image, layers }, ratio) {
  context.setTransform(stage.scale * ratio, 0, 0, stage.scale * ratio, stage.x * ratio, stage.y * ratio);
  context.beginPath();
  context.rect(0, 0, image.width, image.height);
  context.clip();
  for (const layer of layers.filter(({ canvas, on }) => canvas && on).sort((a, b) => a.level - b.level)) {
    context.globalAlpha = layer.opacity;
    context.imageSmoothingEnabled = Boolean(layer.cells) || stage.scale <= 3;
    context.drawImage(layer.canvas, 0, 0, parseFloat(layer.canvas.style.width), parseFloat(layer.canvas.style.height));
  }
}

// Every color scale in view: {title, stops, low, high}.
function scalesShown({ image, layers, pins, live, heatStops, channel }) {
  return layers
    .filter(({ on }) => on)
    .flatMap(({ key, title, range }) => {
      if (range)
        return [
          {
            title: `${title.replace("Channel: ", "")} of ${channelText(image, channel)}`,
            stops: heatStops,
            low: number(range[0]),
            high: number(range[1]),
          },
        ];
      const ofPins = (low, high) =>
        pins.map((pin, n) => ({
          title: `${title}, pin ${n + 1}`,
          stops: ["transparent", cssColor(pin.color)],
          low: low(pin),
          high: high(pin),
        }));
      if (key === "together")
        return pins.length
          ? ofPins(
              () => "0",
              () => "1",
            )
          : [{ title, stops: heatStops, low: "0", high: "1" }];
      if (key !== "affinity") return [];
      if (pins.length)
        return ofPins(
          (pin) => affinityText(image, pin.low),
          (pin) => affinityText(image, pin.high),
        );
      return live ? [{ title, stops: heatStops, low: affinityText(image, live.low), high: affinityText(image, live.high) }] : [];
    });
}

function drawScale(context, { title, stops, low, high }, x, y, color) {
  const bar = 70,
    gradient = context.createLinearGradient(x + 175, 0, x + 175 + bar, 0);
  stops.forEach((stop, n) => gradient.addColorStop(n / (stops.length - 1), stop));
  context.fillStyle = gradient;
  context.fillRect(x + 175, y - 5, bar, 10);
  context.fillStyle = color;
  context.fillText(title, x, y, 125);
  context.textAlign = "end";
  context.fillText(low, x + 170, y, 42);
  context.textAlign = "start";
  context.fillText(high, x + 180 + bar, y, 42);
}
