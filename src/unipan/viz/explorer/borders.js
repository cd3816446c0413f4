// The borders of segments as paths, which are drawn sharp at any zoom.

// The lines between the answer's segments, in pixels of the image; around segment n alone where n is not 0. Made once.
function bordersOf(image, n) {
  image.borders ??= [];
  return (image.borders[n] ??= bordersIn(
    image,
    n ? image.maps.answer.segments[n - 1].box : [0, 0, image.width, image.height],
    n,
  ));
}

function bordersIn({ width, height, maps }, [x1, y1, x2, y2], n) {
  const { pixels } = maps.answer,
    path = new Path2D();
  const parted = (a, b) => pixels[a] !== pixels[b] && (!n || pixels[a] === n || pixels[b] === n);
  const line = (from, to, isParted, draw) => {
    for (let at = from, start = -1; at <= to; at++) {
      const on = at < to && isParted(at);
      if (on && start < 0) start = at;
      if (!on && start >= 0) {
        draw(start, at);
        start = -1;
      }
    }
  };
  for (let y = Math.max(y1, 1); y <= Math.min(y2, height - 1); y++) {
    line(
      x1,
      x2,
      (x) => parted(y * width + x, (y - 1) * width + x),
      (a, b) => {
        path.moveTo(a, y);
        path.lineTo(b, y);
      },
    );
  }
  for (let x = Math.max(x1, 1); x <= Math.min(x2, width - 1); x++) {
    line(
      y1,
      y2,
      (y) => parted(y * width + x, y * width + x - 1),
      (a, b) => {
        path.moveTo(x, a);
        path.lineTo(x, b);
      },
    );
  }
  return path;
}
