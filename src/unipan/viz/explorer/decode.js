// From the page's texts to arrays. A text is base64 of what zlib has compressed.

async function inflate(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

// An image of the page's data with its arrays in place of their texts: what all other files call `image`.
async function decodeImage(stored) {
  const image = { ...stored, cells: stored.rows * stored.columns, element: new Image(), maps: {}, parts: {} };
  image.element.src = stored.image;
  const waits = [image.element.decode()];
  for (const [key, map] of Object.entries(stored.maps)) {
    waits.push(
      inflate(map.pixels).then((buffer) => {
        image.maps[key] = { ...map, pixels: new Uint16Array(buffer) };
      }),
    );
  }
  for (const [key, part] of Object.entries(stored.parts)) {
    waits.push(
      inflate(part.values).then((buffer) => {
        image.parts[key] = { ...part, values: new Uint8Array(buffer) };
      }),
    );
  }
  const { affinity, detections } = stored;
  if (affinity)
    waits.push(
      inflate(affinity.values).then((buffer) => {
        image.affinity = { ...affinity, features: widened(new Int8Array(buffer), affinity.scales, image.cells) };
      }),
    );
  if (detections.masks)
    waits.push(
      inflate(detections.masks.values).then((buffer) => {
        image.detections = { ...detections, masks: { ...detections.masks, values: new Uint8Array(buffer) } };
      }),
    );
  await Promise.all(waits);
  if (image.affinity && image.parts.evidence) image.shares = channelShares(image);
  return image;
}

// Features as floats, one feature after the other for all cells: once, so that every product is a plain one.
function widened(levels, scales, cells) {
  const features = new Float32Array(levels.length);
  scales.forEach((scale, d) => {
    for (let i = d * cells; i < (d + 1) * cells; i++) features[i] = scale * levels[i];
  });
  return features;
}

// One channel of "potential", "evidence" or "unary" at all cells; or at one.
function channelMap(image, part, channel) {
  const { values, lows, steps } = image.parts[part];
  const map = new Float32Array(image.cells);
  for (let i = 0, at = channel * image.cells; i < image.cells; i++, at++) map[i] = lows[channel] + steps[channel] * values[at];
  return map;
}

function channelAt(image, part, channel, cell) {
  const { values, lows, steps } = image.parts[part];
  return lows[channel] + steps[channel] * values[channel * image.cells + cell];
}

// The parts whose sum, with the channel's bias, is its logit.
function logitParts(image) {
  return ["evidence", "unary"].filter((part) => image.parts[part]);
}

function logitMap(image, channel) {
  const total = new Float32Array(image.cells).fill(image.bias[channel]);
  for (const part of logitParts(image))
    channelMap(image, part, channel).forEach((value, i) => {
      total[i] += value;
    });
  return total;
}

// How likely each cell is of each channel by what has reached it along the affinity: the softmax of its logits without
// their unary part.
function channelShares(image) {
  const { cells, channels } = image,
    shares = new Float32Array(channels.length * cells),
    totals = new Float32Array(cells);
  const highest = new Float32Array(cells).fill(-Infinity);
  channels.forEach((_, channel) => {
    const logits = channelMap(image, "evidence", channel);
    for (let i = 0; i < cells; i++) highest[i] = Math.max(highest[i], logits[i] + image.bias[channel]);
    shares.set(logits, channel * cells);
  });
  for (let at = 0; at < shares.length; at++)
    totals[at % cells] += shares[at] = Math.exp(shares[at] + image.bias[(at / cells) | 0] - highest[at % cells]);
  for (let at = 0; at < shares.length; at++) shares[at] /= totals[at % cells];
  return shares;
}

// The channels of a cell, the highest logit first: {channel, logit, evidence?, unary?, bias}.
function channelsAt(image, cell) {
  const found = image.channels.map((_, channel) => {
    const entry = { channel, bias: image.bias[channel], logit: image.bias[channel] };
    for (const part of logitParts(image)) {
      entry[part] = channelAt(image, part, channel, cell);
      entry.logit += entry[part];
    }
    return entry;
  });
  return found.sort((a, b) => b.logit - a.logit);
}
