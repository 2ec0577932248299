// The viewer: what is on view, and what the user does with it. Joined after the other files of this folder.

const SEND_AFTER_MS = 350;
const BUSY_AFTER_MS = 200;

class Viewer {
  constructor(parent) {
    this.parent = parent;
    this.root = parent.querySelector('[data-part="viewer"]');
    this.parts = Object.fromEntries([...this.root.querySelectorAll("[data-part]")].map((node) => [node.dataset.part, node]));
    this.canvas = this.parts.stage;
    this.pictures = new Pictures();
    this.painter = new Painter(this.pictures);
    this.objects = new Objects(() => this.redraw());
    this.flicker = new Flicker(() => this.redraw());
    this.data = null;
    this.view = null;
    this.camera = WHOLE;
    this.divider = 0.5;
    this.cursor = null;
    this.hovered = null;
    this.picked = null;
    this.activeSide = "left";
    this.isBare = false;
    this.problems = [];
    this.turn = 0;
    this.closing = new AbortController();
    this.bind();
  }

  bind() {
    const { parts } = this;
    bindPointer(this, this.canvas);
    bindWheel(this, parts.frame, this.closing.signal);
    bindDivider(this, parts.divider, parts.frame);
    bindKeys(this, this.root);
    for (const button of parts.modes.children) button.addEventListener("click", () => this.setMode(button.dataset.mode));
    for (const side of SIDES) {
      parts[`${side}-image`].addEventListener("change", (event) => this.setSide(side, { image: event.target.value }));
      parts[`${side}-overlay`].addEventListener("change", (event) => this.setSide(side, { overlay: event.target.value || null }));
    }
    parts.opacity.addEventListener("input", (event) => this.setOpacity(Number(event.target.value) / 100));
    parts.outline.addEventListener("click", () => this.toggleOutline());
    parts.polygons.addEventListener("click", () => this.togglePolygons());
    parts.play.addEventListener("click", () => this.flicker.toggle());
    parts.flip.addEventListener("click", () => this.flicker.flip());
    parts.speed.addEventListener("input", (event) => this.change({ speed: Number(event.target.value) }));
    parts["zoom-in"].addEventListener("click", () => this.zoomBy(1.5));
    parts["zoom-out"].addEventListener("click", () => this.zoomBy(1 / 1.5));
    parts.reset.addEventListener("click", () => this.reset());
    parts.fullscreen.addEventListener("click", () => this.toggleFullscreen());
    parts.fullscreen.hidden = !document.fullscreenEnabled;
    parts["help-button"].addEventListener("click", () => this.toggleHelp());
    parts.again.addEventListener("click", () => {
      this.objects.keep(new Set(this.data.objects.map(({ url }) => url)));
      this.load(this.data);
    });
    this.observer = new ResizeObserver(() => this.redraw());
    this.observer.observe(this.root);
    this.observer.observe(parts.frame);
  }

  /** Takes what a run of the page shows. The old pictures stay until the new ones are here. */
  update(component) {
    this.send = (record) => component.setStateValue("view", record);
    const { initial, ...data } = component.data;
    const signature = JSON.stringify(data);
    if (signature === this.signature) return this.redraw();
    this.signature = signature;
    if (!this.view) {
      this.view = { ...initial, hidden: new Set(initial.hidden.map((index) => `c${index}`)) };
      this.sent = JSON.stringify(this.record());
      this.data = data;
    }
    this.initial = initial;
    this.load(data);
  }

  async load(data) {
    const turn = ++this.turn;
    this.root.dataset.ready = "false";
    const view = fittedView(this.view, data, this.initial);
    const wanted = wantedOf(data);
    const urlsInView = new Set(this.sources(view, data));
    const first = wanted.filter(({ url }) => urlsInView.has(url));
    const problems = [];
    const fetchAll = (pictures) =>
      Promise.all(
        pictures.map((each) =>
          this.pictures.load(each.url, each.kind).catch((error) => problems.push({ label: each.label, reason: error.message })),
        ),
      );
    this.pictures.keep(new Set([...wanted, ...wantedOf(this.data)].map(nameOf)));
    this.showBusy(turn);
    const rest = wanted.filter((each) => !first.includes(each));
    const arrivals = [fetchAll(first), fetchAll(rest)];
    await arrivals[0];
    if (turn !== this.turn) return;
    if (JSON.stringify(data.objects) !== JSON.stringify(this.data.objects)) this.picked = null;
    this.data = data;
    this.view = fittedView(this.view, data, this.initial);
    this.problems = [...problems];
    this.parts.busy.hidden = true;
    this.isBusy = false;
    this.pictures.keep(new Set(wanted.map(nameOf)));
    this.objects.keep(new Set(data.objects.map(({ url }) => url)));
    this.redraw();
    await arrivals[1];
    if (turn !== this.turn) return;
    this.problems = problems;
    this.root.dataset.ready = "true";
    this.redraw();
    this.fetchNext(data.prefetch, turn);
  }

  /** Has the browser keep what is likely to be shown next, so that it is here at once. */
  async fetchNext(urls, turn) {
    for (const url of urls.filter((each) => isOwnPath(each))) {
      if (turn !== this.turn) return;
      await fetch(url, { signal: this.closing.signal, priority: "low" }).catch(() => {});
    }
  }

  showBusy(turn) {
    this.isBusy = true;
    setTimeout(() => {
      if (turn === this.turn && this.isBusy) this.parts.busy.hidden = false;
    }, BUSY_AFTER_MS);
    this.redraw();
  }

  /** Returns the addresses of the pictures that a view shows. */
  sources(view, data) {
    return sidesOf(view).flatMap((side) => {
      const image = data.images.find(({ key }) => key === view[side].image);
      const overlay = overlaysOf(data).find(({ key }) => key === view[side].overlay);
      return [image?.url, overlay?.of.url, overlay?.truth?.url].filter(Boolean);
    });
  }

  // What the user does

  setMode(mode) {
    this.change({ mode });
  }

  setSide(side, part) {
    this.activeSide = side;
    this.change({ [side]: { ...this.view[side], ...part } });
  }

  setOpacity(opacity) {
    this.change({ opacity: Math.round(Math.min(Math.max(opacity, 0), 1) * 100) / 100 });
  }

  toggleOutline() {
    this.change({ outline: !this.view.outline });
  }

  togglePolygons() {
    this.picked = null;
    if (this.data.objects.length) this.change({ polygons: !this.view.polygons });
  }

  /** Shows the other of two pictures, in turn where there is no mode for it yet. */
  flip() {
    if (this.view.mode === "flicker") return this.flicker.flip();
    this.flicker.isPlaying = false;
    this.setMode("flicker");
  }

  toggleFlicker() {
    if (this.view.mode === "flicker") return this.flicker.toggle();
    this.flicker.isPlaying = true;
    this.setMode("flicker");
  }

  toggle(id) {
    const hidden = new Set(this.view.hidden);
    if (!hidden.delete(id)) hidden.add(id);
    this.change({ hidden });
  }

  toggleNumber(number) {
    this.parts.legend.querySelectorAll("button")[number - 1]?.click();
  }

  next(part) {
    const side = this.view.mode === "single" ? "left" : this.activeSide;
    const keys =
      part === "image" ? this.data.images.map(({ key }) => key) : [null, ...overlaysOf(this.data).map(({ key }) => key)];
    this.setSide(side, { [part]: keys[(keys.indexOf(this.view[side][part]) + 1) % keys.length] });
  }

  setBare(isBare) {
    if (this.isBare === isBare) return;
    this.isBare = isBare;
    this.redraw();
  }

  divide(share) {
    this.divider = Math.min(Math.max(share, 0), 1);
    this.redraw();
  }

  toggleHelp() {
    this.parts.help.hidden = !this.parts.help.hidden;
    this.parts["help-button"].setAttribute("aria-expanded", String(!this.parts.help.hidden));
  }

  toggleFullscreen() {
    const isFull = this.root.getRootNode().fullscreenElement === this.root;
    const switched = isFull ? document.exitFullscreen() : this.root.requestFullscreen();
    switched.catch(() => {}); // The browser refuses where no user asked; the button stays as it was.
  }

  reset() {
    this.camera = WHOLE;
    this.redraw();
  }

  zoomAt(factor, px, py) {
    const [pane] = this.panesAt(px, py);
    if (!pane) return;
    this.camera = zoomed(this.camera, factor, px, py, pane, this.reference());
    this.redraw();
  }

  zoomBy(factor) {
    const [pane] = this.panes();
    if (pane) this.zoomAt(factor, pane.x + pane.width / 2, pane.y + pane.height / 2);
  }

  pan(dx, dy) {
    const [pane] = this.panes();
    if (!pane) return;
    this.camera = panned(this.camera, dx, dy, pane, this.reference());
    this.redraw();
  }

  /** Moves by keyboard: what is read is then the pixel in the middle. */
  move(dx, dy) {
    this.pan(dx, dy);
    this.cursor = { u: this.camera.x, v: this.camera.y, pane: null };
  }

  /** Takes the place under the pointer, in CSS pixels of the canvas, or null. */
  point(place) {
    this.cursor = null;
    const [pane, index] = place ? this.panesAt(place.x, place.y) : [];
    if (pane) {
      const rect = placed(this.camera, pane, this.reference());
      const u = (place.x - rect.x) / rect.width;
      const v = (place.y - rect.y) / rect.height;
      if (u >= 0 && u < 1 && v >= 0 && v < 1) this.cursor = { u, v, pane: index };
      const isBehind = this.view.mode === "swipe" ? place.x > this.divider * this.size.width : index === 1;
      const isRight = this.view.mode === "flicker" ? this.flicker.isSecond : isBehind;
      this.activeSide = isRight ? "right" : "left";
    }
    this.redraw();
  }

  /** Keeps the object under the pointer in view, or lets it go. */
  pick(place) {
    this.point(place);
    this.findObject();
    const name = this.hovered?.name ?? null;
    this.picked = this.picked === name ? null : name;
    this.redraw();
  }

  /** Returns the labelled objects of a side's image, as far as they are here; null where there are none to show. */
  objectsOf(side) {
    const found = this.view.polygons && this.data.objects.find(({ image }) => image === this.view[side].image);
    return found ? this.objects.at(found.url) : null;
  }

  findObject() {
    const entry = this.cursor && this.objectsOf(this.activeSide);
    const reference = this.reference();
    const [pane] = this.panes();
    this.hovered = null;
    if (!entry || !pane) return;
    const near = (NEAR_PIXELS * reference.width) / placed(this.camera, pane, reference).width;
    const [x, y] = [this.cursor.u * reference.width, this.cursor.v * reference.height];
    this.hovered = objectAt(entry.objects, x, y, near, ({ kind }) => this.view.hidden.has(kindId(kind)));
  }

  change(part) {
    this.view = { ...this.view, ...part };
    this.redraw();
    clearTimeout(this.sending);
    this.sending = setTimeout(() => {
      const record = this.record();
      const text = JSON.stringify(record);
      if (text !== this.sent) this.send(record);
      this.sent = text;
    }, SEND_AFTER_MS);
  }

  record() {
    const { mode, left, right, opacity, outline, polygons, speed, hidden } = this.view;
    const classes = [...hidden].filter((id) => id.startsWith("c")).map((id) => Number(id.slice(1)));
    return { mode, left, right, opacity, outline, polygons, speed, hidden: classes.sort((a, b) => a - b) };
  }

  // Where things are

  /** Returns the picture whose pixels are the coordinates: the first that is here. */
  reference() {
    for (const { url, kind } of wantedOf(this.data)) {
      const picture = this.pictures.peek(url, kind);
      if (picture) return picture;
    }
    return null;
  }

  panes() {
    const reference = this.reference();
    return reference && this.size ? paneRects(this.view.mode, this.size.width, this.size.height, reference) : [];
  }

  /** Returns the pane under the place and its number, or the first. */
  panesAt(px, py) {
    const panes = this.panes();
    const index = panes.findIndex(({ x, y, width, height }) => px >= x && px < x + width && py >= y && py < y + height);
    return [panes[Math.max(index, 0)], Math.max(index, 0)];
  }

  // What is drawn

  redraw() {
    this.frameRequest ??= requestAnimationFrame(() => {
      this.frameRequest = null;
      if (!this.view || !this.root.isConnected) return;
      layOut(this);
      this.flicker.follow(this.view.mode === "flicker", this.view.speed);
      this.findObject();
      showControls(this);
      drawStage(this);
    });
  }

  close() {
    this.closing.abort();
    this.flicker.close();
    this.objects.close();
    this.observer.disconnect();
    clearTimeout(this.sending);
    cancelAnimationFrame(this.frameRequest);
    this.turn += 1;
    this.pictures.close();
  }
}

const viewers = new WeakMap();

export default function show(component) {
  const { parentElement } = component;
  let viewer = viewers.get(parentElement);
  if (!viewer) {
    viewer = new Viewer(parentElement);
    viewers.set(parentElement, viewer);
  }
  viewer.update(component);
  return () => {
    // Streamlit also calls this for a run that a later one overtook, while the viewer is still on the page.
    setTimeout(() => {
      if (parentElement.isConnected || viewers.get(parentElement) !== viewer) return;
      viewers.delete(parentElement);
      viewer.close();
    });
  };
}
