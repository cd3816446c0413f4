// What is drawn at the screen's resolution over all layers, whatever the zoom: boxes, labels, pins, the pointer.

const FONT = "600 12px system-ui, sans-serif";

// The canvas, of the stage's size at the screen's resolution, cleared; drawn on in pixels of the page.
function screenContext(canvas, { clientWidth: width, clientHeight: height }) {
  const ratio = window.devicePixelRatio || 1,
    wide = Math.round(width * ratio),
    high = Math.round(height * ratio);
  if (canvas.width !== wide) canvas.width = wide;
  if (canvas.height !== high) canvas.height = high;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

function drawMarks(canvas, { stage, image, shows, pins, pointer }) {
  const context = screenContext(canvas, stage.element),
    taken = [];
  context.font = FONT;
  const here = pointer && image.maps.answer.pixels[pointer.y * image.width + pointer.x];
  if (here && shows("outlines")) strokeBorders(context, stage, bordersOf(image, here), 3.5, "rgb(10 12 18)", "white");
  if (shows("boxes")) drawBoxes(context, stage, image, shows.opacity("boxes"), shows("labels") ? null : taken);
  if (shows("labels")) drawLabels(context, stage, image.maps.answer.segments, shows.opacity("labels"), taken);
  pins.forEach((pin, n) => drawPin(context, stage.toScreen(pin.x + 0.5, pin.y + 0.5), pin.color, n + 1));
  if (pointer) drawCross(context, stage.toScreen(pointer.x + 0.5, pointer.y + 0.5));
}

function drawOutlines(canvas, { stage, image, shows }) {
  const context = screenContext(canvas, stage.element);
  if (!shows("outlines")) return;
  context.globalAlpha = shows.opacity("outlines");
  strokeBorders(context, stage, bordersOf(image, 0), 1.5, "rgb(10 12 18 / 0.7)", "white");
}

// A bright line with dark edges, seen on any ground, of the same width whatever the zoom.
function strokeBorders(context, stage, path, line, edge, ink) {
  context.save();
  context.translate(stage.x, stage.y);
  context.scale(stage.scale, stage.scale);
  context.lineCap = "square";
  for (const [color, width] of [
    [edge, line + 1.5],
    [ink, line],
  ]) {
    context.strokeStyle = color;
    context.lineWidth = width / stage.scale;
    context.stroke(path);
  }
  context.restore();
}

// The surest last, so that it lies on top; those that are no channels dashed. taken: null where no names are to be written.
function drawBoxes(context, stage, image, opacity, taken) {
  context.globalAlpha = opacity;
  for (const { box, admitted, color } of [...image.detections.entries].reverse()) {
    const [left, top] = stage.toScreen(box[0], box[1]),
      [right, bottom] = stage.toScreen(box[2], box[3]);
    context.setLineDash(admitted ? [] : [6, 5]);
    for (const [ink, line] of [
      ["rgb(10 12 18 / 0.75)", admitted ? 5 : 3],
      [cssColor(color), admitted ? 3 : 1.5],
    ]) {
      context.strokeStyle = ink;
      context.lineWidth = line;
      context.strokeRect(left, top, right - left, bottom - top);
    }
  }
  context.setLineDash([]);
  if (taken)
    for (const { box, admitted, color, name, score } of image.detections.entries) {
      const [left, top] = stage.toScreen(box[0], box[1]);
      if (admitted) drawPlate(context, `${name} ${score.toFixed(2)}`, left, top - 19, color, taken);
    }
  context.globalAlpha = 1;
}

// Things first, large ones first; one that would cover another waits until there is room, as the view is enlarged.
function drawLabels(context, stage, segments, opacity, taken) {
  context.globalAlpha = opacity;
  for (const segment of [...segments].sort((a, b) => b.thing - a.thing || b.area - a.area)) {
    const text = segmentText(segment),
      [x, y] = stage.toScreen(segment.middle[0] + 0.5, segment.middle[1] + 0.5);
    const width = context.measureText(text).width + 12,
      room = stage.element.clientWidth;
    if (x < 0 || x > room) continue;
    drawPlate(context, text, Math.max(2, Math.min(x - width / 2, room - width - 2)), y - 9, segment.color, taken);
  }
  context.globalAlpha = 1;
}

function drawPlate(context, text, left, top, color, taken) {
  const width = context.measureText(text).width + 12,
    height = 18;
  const frame = [left, top, left + width, top + height];
  if (taken.some((other) => frame[0] < other[2] && other[0] < frame[2] && frame[1] < other[3] && other[1] < frame[3])) return;
  taken.push(frame);
  context.fillStyle = cssColor(color);
  context.strokeStyle = "rgb(10 12 18 / 0.6)";
  context.lineWidth = 1;
  context.beginPath();
  context.roundRect(left, top, width, height, 5);
  context.fill();
  context.stroke();
  context.fillStyle = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2] > 140 ? "rgb(16 19 26)" : "white";
  context.textBaseline = "middle";
  context.fillText(text, left + 6, top + height / 2 + 1);
}

function drawPin(context, [x, y], color, number) {
  context.fillStyle = cssColor(color);
  context.strokeStyle = "white";
  context.lineWidth = 2;
  context.beginPath();
  context.moveTo(x, y);
  context.bezierCurveTo(x - 4, y - 8, x - 10, y - 12, x - 10, y - 20);
  context.arc(x, y - 20, 10, Math.PI, 0);
  context.bezierCurveTo(x + 10, y - 12, x + 4, y - 8, x, y);
  context.fill();
  context.stroke();
  context.fillStyle = "rgb(16 19 26)";
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(String(number), x, y - 19.5);
  context.textAlign = "start";
}

function drawCross(context, [x, y]) {
  for (const [ink, line] of [
    ["rgb(10 12 18 / 0.8)", 4],
    ["white", 1.75],
  ]) {
    context.strokeStyle = ink;
    context.lineWidth = line;
    context.beginPath();
    for (const [dx, dy] of [
      [1, 0],
      [-1, 0],
      [0, 1],
      [0, -1],
    ]) {
      context.moveTo(x + 4 * dx, y + 4 * dy);
      context.lineTo(x + 12 * dx, y + 12 * dy);
    }
    context.stroke();
  }
}

function segmentText({ name, thing, crowd, score }) {
  if (crowd) return `${name} (crowd)`;
  return thing && score < 1 ? `${name} ${score.toFixed(2)}` : name;
}
