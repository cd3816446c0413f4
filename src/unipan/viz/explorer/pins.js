// Cells whose affinity stays in view.

const PIN_COLORS = [
  [230, 159, 0],
  [86, 180, 233],
  [0, 158, 115],
  [240, 228, 66],
  [213, 94, 0],
  [204, 121, 167],
  [0, 114, 178],
]; // Okabe and Ito

// Pin the cell there; where one is pinned already, remove that pin. The oldest goes where there are no more colors.
function pinAt(x, y) {
  const { image, pins } = state;
  if (!image?.affinity || !isInside(x, y)) return;
  const at = pixelAt(x, y),
    same = pins.findIndex((pin) => pin.cell === at.cell);
  if (same >= 0) return removePin(same);
  if (pins.length === PIN_COLORS.length) pins.shift();
  const row = affinityRow(image, at.cell),
    [low, high] = quantiles(row, ...HEAT_SHARES);
  const color = PIN_COLORS.find((free) => !pins.some((pin) => pin.color === free));
  const together = image.shares && togetherRow(image, at.cell);
  pins.push({
    ...at,
    row,
    together,
    low,
    high,
    factor: high > low ? 255 / (high - low) : 0,
    color,
    table: colorTable([color, color], 0, 0.92),
  });
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
