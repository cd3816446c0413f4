// What a layer's canvas holds: one pixel for each cell, or for each of the image's pixels. Colors are [red, green, blue], 0..255.

const HEAT_SHARES = [0.05, 0.995]; // the affinities between these quantiles span the colors

function canvasOf(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return canvas;
}

// 256 colors between the stops, as one Uint32 each (RGBA in the memory's order), whose opacity grows from `least` to `most`.
function colorTable(stops, least, most) {
  const bytes = new Uint8ClampedArray(256 * 4);
  for (let level = 0; level < 256; level++) {
    const position = (level / 255) * (stops.length - 1),
      stop = Math.min(position | 0, stops.length - 2),
      share = position - stop;
    for (let c = 0; c < 3; c++) bytes[4 * level + c] = stops[stop][c] * (1 - share) + stops[stop + 1][c] * share;
    bytes[4 * level + 3] = 255 * (least + ((most - least) * level) / 255);
  }
  return new Uint32Array(bytes.buffer);
}

// Values as colors of the table, from `low` to `high`.
function paintValues(canvas, values, low, high, table) {
  const context = canvas.getContext("2d"),
    data = context.createImageData(canvas.width, canvas.height);
  const pixels = new Uint32Array(data.data.buffer),
    factor = high > low ? 255 / (high - low) : 0;
  for (let i = 0; i < pixels.length; i++) {
    const level = (values[i] - low) * factor;
    pixels[i] = table[level > 255 ? 255 : level > 0 ? level | 0 : 0];
  }
  context.putImageData(data, 0, 0);
}

// Of several rows of affinities each cell shows the one that is strongest there, in its pin's color.
function paintStrongest(canvas, pins) {
  const context = canvas.getContext("2d"),
    data = context.createImageData(canvas.width, canvas.height);
  const pixels = new Uint32Array(data.data.buffer);
  for (let i = 0; i < pixels.length; i++) {
    let best = 0,
      level = -1;
    for (let p = 0; p < pins.length; p++) {
      const own = (pins[p].row[i] - pins[p].low) * pins[p].factor;
      if (own > level) {
        level = own;
        best = p;
      }
    }
    pixels[i] = pins[best].table[level > 255 ? 255 : level > 0 ? level | 0 : 0];
  }
  context.putImageData(data, 0, 0);
}

// Each segment in its color; void hatched.
function paintSegments(canvas, map) {
  const { width, height } = canvas,
    context = canvas.getContext("2d"),
    data = context.createImageData(width, height);
  const pixels = new Uint32Array(data.data.buffer),
    period = Math.max(6, Math.round(Math.max(width, height) / 60));
  const table = new Uint32Array(map.segments.length + 1);
  map.segments.forEach((segment, n) => {
    table[n + 1] = packed(segment.color, 255);
  });
  const dark = packed([40, 42, 48], 225),
    line = packed([150, 152, 160], 225),
    thick = Math.max(1, Math.round(period / 8));
  for (let y = 0, i = 0; y < height; y++)
    for (let x = 0; x < width; x++, i++) {
      pixels[i] = map.pixels[i] ? table[map.pixels[i]] : (x + y) % period < thick ? line : dark;
    }
  context.putImageData(data, 0, 0);
}

// Dark where two maps agree, and clear where they differ: what lies below is seen there alone.
function paintChanges(canvas, answer, other) {
  const { width, height } = canvas,
    context = canvas.getContext("2d"),
    data = context.createImageData(width, height);
  const pixels = new Uint32Array(data.data.buffer);
  const ids = (map) => [0, ...map.segments.map((segment) => segment.id)],
    mine = ids(answer),
    its = ids(other);
  const colors = [packed([128, 128, 128], 255), ...answer.segments.map((segment) => packed(segment.color, 255))];
  const same = packed([14, 16, 22], 205);
  let changed = 0;
  for (let i = 0; i < pixels.length; i++) {
    const differs = mine[answer.pixels[i]] !== its[other.pixels[i]];
    changed += differs;
    pixels[i] = differs ? colors[answer.pixels[i]] : same;
  }
  context.putImageData(data, 0, 0);
  return changed / pixels.length;
}

// Each detection's mask probabilities over its box, in its color.
function paintMasks(canvas, { entries, masks }) {
  const context = canvas.getContext("2d"),
    { side } = masks;
  context.clearRect(0, 0, canvas.width, canvas.height);
  masks.of.forEach((index, n) => {
    const small = canvasOf(side, side),
      data = small.getContext("2d").createImageData(side, side);
    const pixels = new Uint32Array(data.data.buffer);
    for (let i = 0; i < side * side; i++) pixels[i] = packed(entries[index].color, masks.values[n * side * side + i]);
    small.getContext("2d").putImageData(data, 0, 0);
    const [x1, y1, x2, y2] = entries[index].box;
    context.drawImage(small, x1, y1, x2 - x1, y2 - y1);
  });
}

function packed([red, green, blue], opacity) {
  return ((opacity << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

function cssColor([red, green, blue]) {
  return `rgb(${red} ${green} ${blue})`;
}
