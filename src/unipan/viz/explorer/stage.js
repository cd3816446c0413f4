// Zoom and pan, and what mouse, pen and fingers do: moves point, clicks and taps pin, drags and two fingers move the view.

const DRAG_PX = 5;
const MAX_SCALE = 40; // screen pixels of one image pixel

class Stage {
  // on: {point(x, y), leave(), click(x, y), view()}; x and y in pixels of the image.
  constructor(element, layers, on) {
    Object.assign(this, { element, layers, on, width: 0, height: 0, scale: 1, x: 0, y: 0, fitted: true, fingers: new Map() });
    const listen = (type, handle, options) => element.addEventListener(type, (event) => handle.call(this, event), options);
    listen("pointerdown", this.down);
    listen("pointermove", this.move);
    listen("pointerup", this.up);
    listen("pointercancel", this.cancel);
    listen("pointerleave", (event) => {
      if (event.pointerType !== "touch") this.on.leave();
    });
    listen("wheel", this.wheel, { passive: false });
    new ResizeObserver(() => this.resize()).observe(element);
  }

  setImage(width, height) {
    Object.assign(this, { width, height });
    this.layers.style.width = `${width}px`;
    this.layers.style.height = `${height}px`;
    this.fit();
  }

  get fitScale() {
    return Math.min(this.element.clientWidth / this.width, this.element.clientHeight / this.height);
  }

  fit() {
    this.fitted = true;
    this.scale = this.fitScale;
    this.x = (this.element.clientWidth - this.width * this.scale) / 2;
    this.y = (this.element.clientHeight - this.height * this.scale) / 2;
    this.show();
  }

  resize() {
    if (!this.width) return;
    if (this.fitted) this.fit();
    else this.panBy(0, 0);
  }

  // Zoom by a factor about a point of the screen, the middle unless told.
  zoomBy(factor, atX = this.element.clientWidth / 2, atY = this.element.clientHeight / 2) {
    const scale = Math.min(Math.max(this.scale * factor, this.fitScale), Math.max(MAX_SCALE, this.fitScale));
    if (scale <= this.fitScale * 1.001) return this.fit();
    this.x = atX - ((atX - this.x) * scale) / this.scale;
    this.y = atY - ((atY - this.y) * scale) / this.scale;
    this.scale = scale;
    this.fitted = false;
    this.panBy(0, 0);
  }

  // Move the view; the image is kept in the stage, or in its middle where it is smaller.
  panBy(dx, dy) {
    const kept = (at, extent, room) => (extent <= room ? (room - extent) / 2 : Math.min(0, Math.max(room - extent, at)));
    this.x = kept(this.x + dx, this.width * this.scale, this.element.clientWidth);
    this.y = kept(this.y + dy, this.height * this.scale, this.element.clientHeight);
    this.show();
  }

  // Move the view until a pixel of the image is seen.
  reveal(x, y) {
    const [left, top] = this.toScreen(x, y),
      margin = 24;
    const into = (at, room) => (at < margin ? margin - at : at > room - margin ? room - margin - at : 0);
    this.panBy(into(left, this.element.clientWidth), into(top, this.element.clientHeight));
  }

  show() {
    this.layers.style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.scale})`;
    this.layers.classList.toggle("magnified", this.scale > 3);
    this.on.view();
  }

  toImage(event) {
    const frame = this.element.getBoundingClientRect();
    return [(event.clientX - frame.left - this.x) / this.scale, (event.clientY - frame.top - this.y) / this.scale];
  }

  toScreen(x, y) {
    return [x * this.scale + this.x, y * this.scale + this.y];
  }

  down(event) {
    if (event.button) return;
    this.element.setPointerCapture(event.pointerId);
    this.fingers.set(event.pointerId, { x: event.clientX, y: event.clientY, fromX: event.clientX, fromY: event.clientY });
    this.moved = this.fingers.size > 1;
    if (event.pointerType === "touch" && !this.moved) this.on.point(...this.toImage(event));
  }

  move(event) {
    const finger = this.fingers.get(event.pointerId);
    if (!finger) return this.on.point(...this.toImage(event));
    const before = { x: finger.x, y: finger.y };
    Object.assign(finger, { x: event.clientX, y: event.clientY });
    if (Math.hypot(finger.x - finger.fromX, finger.y - finger.fromY) > DRAG_PX) this.moved = true;
    if (this.fingers.size > 1) this.pinch(finger, before);
    else if (event.pointerType === "touch") this.on.point(...this.toImage(event));
    else if (this.moved) {
      this.fitted = false;
      this.panBy(finger.x - before.x, finger.y - before.y);
    }
  }

  // One of two fingers has moved: what lay under both stays under both.
  pinch(finger, before) {
    const other = [...this.fingers.values()].find((each) => each !== finger),
      frame = this.element.getBoundingClientRect();
    const apart = (point) => Math.hypot(point.x - other.x, point.y - other.y);
    this.fitted = false;
    this.panBy((finger.x - before.x) / 2, (finger.y - before.y) / 2);
    const middle = [(finger.x + other.x) / 2 - frame.left, (finger.y + other.y) / 2 - frame.top];
    this.zoomBy(apart(finger) / Math.max(apart(before), 1), ...middle);
  }

  up(event) {
    const finger = this.fingers.get(event.pointerId);
    this.cancel(event);
    if (finger && !this.moved) this.on.click(...this.toImage(event));
  }

  cancel(event) {
    this.fingers.delete(event.pointerId);
  }

  wheel(event) {
    event.preventDefault();
    const frame = this.element.getBoundingClientRect(),
      lines = event.deltaMode ? 16 : 1;
    this.zoomBy(Math.exp((-event.deltaY * lines) / 400), event.clientX - frame.left, event.clientY - frame.top);
  }
}
