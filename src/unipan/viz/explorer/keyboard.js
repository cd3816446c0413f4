// What keys do.

const KEYS = {
  ArrowLeft: (step) => moveBy(-step, 0),
  ArrowRight: (step) => moveBy(step, 0),
  ArrowUp: (step) => moveBy(0, -step),
  ArrowDown: (step) => moveBy(0, step),
  Enter: () => state.pointer && pinAt(state.pointer.x, state.pointer.y),
  Backspace: () => state.pins.length && removePin(state.pins.length - 1),
  Escape: clearPins,
  "+": () => stage.zoomBy(1.5),
  "=": () => stage.zoomBy(1.5),
  "-": () => stage.zoomBy(1 / 1.5),
  0: () => stage.fit(),
  "[": () => setChannel(state.channel - 1),
  "]": () => setChannel(state.channel + 1),
  c: chooseChannelHere,
  n: () => showImage(state.index + 1),
  p: () => showImage(state.index - 1),
  s: () => saveView(stage, state),
  t: nextTheme,
  "?": () => byId("help").showModal(),
};

function keyDown(event) {
  if (!state.image || event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
  const { target, key, code } = event,
    inControl = target.closest("input, button");
  const digit = /^Digit([1-9])$/.exec(code);
  if (target.closest("select")) return;
  if (digit) {
    const layer = state.layers[Number(digit[1]) - 1];
    if (layer) event.shiftKey ? showAlone(layer) : setLayer(layer, { on: !layer.on });
  } else if (key in KEYS && !(inControl && (key.startsWith("Arrow") || key === "Enter"))) KEYS[key](event.shiftKey ? 10 : 1);
  else return;
  event.preventDefault();
}
