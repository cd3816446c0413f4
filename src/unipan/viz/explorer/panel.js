// The panels beside the image. Names come from files: they are only ever set as text, never as HTML.

const CHANNELS_SHOWN = 6;

// An element with properties and children; a string is a text.
function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function byId(id) {
  return document.getElementById(id);
}

function swatch(color) {
  const element = make("i", { className: color ? "swatch" : "swatch void" });
  if (color) element.style.background = cssColor(color);
  return element;
}

// A color scale with the values at its ends.
function scale(stops, low, high) {
  const bar = make("i");
  bar.style.background = `linear-gradient(to right, ${stops.join(", ")})`;
  return make("div", { className: "scale" }, make("span", {}, low), bar, make("span", {}, high));
}

// Three digits, with a true minus.
function number(value) {
  return (Math.abs(value) < 1e-12 ? 0 : value).toPrecision(3).replace("-", "−");
}

// Two decimals; zero has no sign.
function logitText(value) {
  const text = value.toFixed(2);
  return Number(text) ? text.replace("-", "−") : text.replace("-", "");
}

// The same as a further term of a sum.
function termText(value) {
  return (Number(value.toFixed(2)) < 0 ? " − " : " + ") + logitText(Math.abs(value));
}

function sourceText({ facts }) {
  return facts.map(([name, value]) => (name === "run" || name === "head" ? value : `${name} ${value}`)).join(" · ");
}

function showFacts(image) {
  const cells =
    image.block > 1
      ? `${image.columns} × ${image.rows}, each the mean of ${image.block} × ${image.block}`
      : `${image.columns} × ${image.rows}`;
  const facts = [...image.facts, ["image", `${image.width} × ${image.height}`], ["cells", cells]];
  byId("facts").replaceChildren(...facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
  for (const element of document.querySelectorAll(".source")) element.textContent = sourceText(image);
}

// What lies at the pointer: of every map its segment, and the channels with the highest logits.
function showPointer(image, pointer) {
  byId("where").textContent = pointer ? `x ${pointer.x}, y ${pointer.y}` : "";
  const rows = [
    ["answer", "Answer"],
    ["truth", "Truth"],
    ["unpropagated", "Unpropagated"],
    ["semantic", "Semantic map"],
  ];
  byId("segments-here").replaceChildren(
    ...rows
      .filter(([key]) => image.maps[key])
      .flatMap(([key, title]) => {
        const segment = pointer && segmentAt(image, key, pointer);
        const text = !pointer
          ? ""
          : !segment
            ? "void"
            : key === "answer"
              ? `${segmentText(segment)}, ${areaText(image, segment)}`
              : segmentText(segment);
        return [make("dt", {}, title), make("dd", {}, ...(pointer ? [swatch(segment?.color)] : []), make("span", {}, text))];
      }),
  );
  const parts = logitParts(image),
    table = byId("channels-here");
  table.hidden = !parts.length;
  table.classList.toggle("biased", image.bias.some(Boolean));
  if (!parts.length) return;
  const found = pointer ? channelsAt(image, pointer.cell).slice(0, CHANNELS_SHOWN) : [];
  const reach = Math.max(1e-9, ...found.flatMap((entry) => [...parts, "bias"].map((part) => Math.abs(entry[part]))));
  table.caption.replaceChildren(...captionOf(image, parts));
  table.tBodies[0].replaceChildren(...found.map((entry) => channelRow(image, entry, parts, reach)));
}

function captionOf(image, parts) {
  if (parts.length === 1) return ["Highest channels: panoptic logit"];
  const step = Math.max(...image.parts.evidence.steps) / 2;
  return [
    "Highest channels: logit = ",
    make("span", { className: "evidence" }, "evidence"),
    " + ",
    make("span", { className: "unary-text" }, "unary part"),
    ...(image.bias.some(Boolean) ? [" + ", make("span", { className: "existence" }, "existence")] : []),
    `, to ${step.toFixed(2)}`,
  ];
}

function channelRow(image, entry, parts, reach) {
  const { color } = image.channels[entry.channel];
  const shown = image.bias.some(Boolean) ? [...parts, "bias"] : parts;
  const bars = shown.map((part) => {
    const bar = make("span", { className: `bar ${part}` });
    bar.style.width = `${(100 * Math.abs(entry[part])) / reach}%`;
    bar.style.opacity = entry[part] < 0 ? 0.45 : 1;
    return bar;
  });
  const sum =
    parts.length < 2
      ? []
      : [
          make("span", { className: "evidence" }, logitText(entry.evidence)),
          make("span", { className: "unary-text" }, termText(entry.unary)),
          ...(entry.bias ? [make("span", { className: "existence" }, termText(entry.bias))] : []),
        ];
  const [title, score] = channelWords(image, entry.channel);
  const words = [make("b", {}, title), ...(score ? [make("span", {}, score)] : [])];
  const name = make("span", { className: "name" }, swatch(color), ...words);
  return make(
    "tr",
    {},
    make("td", { title: channelText(image, entry.channel) }, name),
    make("td", {}, ...bars),
    make("td", {}, logitText(entry.logit)),
    make("td", {}, ...sum),
  );
}

function channelText(image, channel) {
  return channelWords(image, channel).join(" ");
}

// A channel's class and, of a detection, its score.
function channelWords(image, channel) {
  const { name, detection } = image.channels[channel];
  return detection === undefined ? [name] : [name, image.detections.entries[detection].score.toFixed(2)];
}

function areaText(image, segment) {
  return `${segment.area.toLocaleString("en")} px (${shareText(image, segment)})`;
}

function shareText(image, { area }) {
  const percent = (100 * area) / (image.width * image.height);
  return `${percent < 0.1 ? percent.toPrecision(1) : percent.toFixed(1)} %`;
}

// The segment of a map at a pixel; undefined for void.
function segmentAt(image, key, { x, y }) {
  const map = image.maps[key];
  return map?.segments[map.pixels[y * image.width + x] - 1];
}

// An affinity as a text: shares as multiples of an even share among all cells, products as they are.
function affinityText(image, value) {
  return image.affinity.norm === "none" ? number(value) : `${number(value * image.cells)} ×`;
}

function showAffinity(state) {
  const { image, pins, pointer, live } = state,
    note = byId("affinity-note");
  const unit =
    image.affinity?.norm === "none" ? "scalar products, scaled as the propagation scales them" : "multiples of an even share";
  note.textContent = !image.affinity
    ? "This network has learnt no affinity."
    : pins.length
      ? `Each cell shows the pin that it is tied to most strongly (${unit}).`
      : `How strongly every cell is tied to the one at the pointer (${unit}). Click to pin.`;
  byId("affinity").querySelector(":scope > .scale")?.remove();
  byId("clear").hidden = !pins.length;
  byId("pins").replaceChildren(...pins.map((pin, n) => pinRow(state, pin, n)));
  if (live && !pins.length && pointer)
    note.after(scale(state.heatStops, affinityText(image, live.low), affinityText(image, live.high)));
}

function pinRow({ image, pointer, removePin }, pin, n) {
  const segment = segmentAt(image, "answer", pin),
    number = make("span", { className: "number" }, String(n + 1));
  number.style.background = cssColor(pin.color);
  const here = pointer ? `; at the pointer ${affinityText(image, pin.row[pointer.cell])}` : "";
  const remove = make("button", { type: "button", ariaLabel: `Remove pin ${n + 1}`, onclick: () => removePin(n) }, "×");
  return make(
    "li",
    {},
    number,
    make("span", { className: "what" }, `${segment ? segmentText(segment) : "void"} (${pin.x}, ${pin.y})${here}`),
    remove,
    scale(["transparent", cssColor(pin.color)], affinityText(image, pin.low), affinityText(image, pin.high)),
  );
}
