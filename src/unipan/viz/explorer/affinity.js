// How strongly one cell is tied to all others. Features are Float32Array, one feature after the other for all cells.

// out[i] = sum over d of vector[d] * features[d * cells + i], four features at a time: fewer passes over `out`.
function products(features, cells, vector, out) {
  out.fill(0);
  let d = 0;
  for (; d + 4 <= vector.length; d += 4) {
    const a = features.subarray(d * cells, (d + 1) * cells),
      b = features.subarray((d + 1) * cells, (d + 2) * cells);
    const c = features.subarray((d + 2) * cells, (d + 3) * cells),
      e = features.subarray((d + 3) * cells, (d + 4) * cells);
    const va = vector[d],
      vb = vector[d + 1],
      vc = vector[d + 2],
      ve = vector[d + 3];
    for (let i = 0; i < cells; i++) out[i] += va * a[i] + vb * b[i] + vc * c[i] + ve * e[i];
  }
  for (; d < vector.length; d++) {
    const a = features.subarray(d * cells, (d + 1) * cells),
      va = vector[d];
    for (let i = 0; i < cells; i++) out[i] += va * a[i];
  }
  return out;
}

// The affinity of `cell` to all cells, as unipan's affinity_products describes it.
function affinityRow(image, cell, out = new Float32Array(image.cells)) {
  const { features, dim, scale, norm } = image.affinity;
  const vector = new Float32Array(dim);
  for (let d = 0; d < dim; d++) vector[d] = features[d * image.cells + cell] * scale;
  products(features, image.cells, vector, out);
  if (norm === "softmax") {
    let highest = -Infinity;
    for (let i = 0; i < out.length; i++) highest = Math.max(highest, out[i]);
    for (let i = 0; i < out.length; i++) out[i] = Math.exp(out[i] - highest);
  }
  if (norm !== "none") {
    let sum = 0;
    for (let i = 0; i < out.length; i++) sum += Math.abs(out[i]);
    for (let i = 0; i < out.length; i++) out[i] /= sum || 1;
  }
  return out;
}

// How likely each cell is of one channel with `cell`, by the affinity alone, as unipan's UnifiedHead.together gives it.
function togetherRow(image, cell, out = new Float32Array(image.cells)) {
  const vector = Float32Array.from(image.channels, (_, channel) => image.shares[channel * image.cells + cell]);
  return products(image.shares, image.cells, vector, out);
}

const BINS = 2048;
const counts = new Uint32Array(BINS);

// Values below which the two shares lie, to a bin of the range: one extreme cell cannot darken all others.
function quantiles(values, low, high) {
  let least = Infinity,
    most = -Infinity;
  for (let i = 0; i < values.length; i++) {
    if (values[i] < least) least = values[i];
    if (values[i] > most) most = values[i];
  }
  if (!(most > least)) return [least, most];
  counts.fill(0);
  const factor = (BINS - 1) / (most - least);
  for (let i = 0; i < values.length; i++) counts[((values[i] - least) * factor) | 0]++;
  const at = (share) => {
    let seen = 0,
      bin = 0;
    while (bin < BINS - 1 && (seen += counts[bin]) < share * values.length) bin++;
    return least + bin / factor;
  };
  return [at(low), at(high)];
}
