// The lists of segments, channels and layers.

function showSegments({ image, goTo }) {
  const segments = [...image.maps.answer.segments].sort((a, b) => b.thing - a.thing || b.area - a.area);
  byId("segment-list").replaceChildren(
    ...segments.map((segment) => {
      const button = make(
        "button",
        { type: "button", onclick: () => goTo(...segment.middle) },
        swatch(segment.color),
        make("span", { title: segment.name }, segment.name),
        make("span", {}, segment.thing ? segment.score.toFixed(2) : ""),
        make("span", {}, shareText(image, segment)),
      );
      button.dataset.id = segment.id;
      return make("li", {}, button);
    }),
  );
}

function showChannels({ image, channel }) {
  byId("channel-choice").hidden = !image.channels.length;
  byId("channel").replaceChildren(
    ...image.channels.map((_, index) =>
      make("option", { value: index, selected: index === channel }, `${index + 1}: ${channelText(image, index)}`),
    ),
  );
}

// One row a layer: switch, opacity, and a button that shows it alone.
function showLayers({ layers, setLayer, showAlone }) {
  byId("layer-list").replaceChildren(
    ...layers.map((layer, n) => {
      const check = make("input", {
        type: "checkbox",
        checked: layer.on,
        ariaLabel: layer.title,
        ariaKeyShortcuts: n < 9 ? String(n + 1) : null,
        onchange: () => setLayer(layer, { on: check.checked }),
      });
      const slider = make("input", {
        type: "range",
        min: 0,
        max: 1,
        step: 0.05,
        value: layer.opacity,
        ariaLabel: `Opacity of ${layer.title}`,
      });
      slider.oninput = () => setLayer(layer, { opacity: Number(slider.value), on: true });
      const name = make("label", {}, check, layer.title, ...(n < 9 ? [make("kbd", {}, String(n + 1))] : []));
      const alone = { type: "button", onclick: () => showAlone(layer), ariaLabel: `Show ${layer.title} only` };
      layer.row = make("li", {}, name, slider, make("button", alone, "only"));
      layer.check = check;
      return layer.row;
    }),
  );
}

// A layer's legend, below its row: a scale, a few words, or both.
function showLegend(layer) {
  layer.row.querySelector(".legend")?.remove();
  if (!layer.on || !layer.legend) return;
  const parts = [layer.legend].flat().map((part) => (typeof part === "string" ? make("p", { className: "note" }, part) : part));
  layer.row.append(make("div", { className: "legend" }, ...parts));
}
