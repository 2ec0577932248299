// The two views. Names come from data and reach the page as text only; images come from this server only.

const SIDE_NAMES = ["anchor", "positive"];
const KEYS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

class ViewPair {
  constructor(root) {
    const part = (name) => root.querySelector(`[data-part="${name}"]`);
    Object.assign(this, { root, part, pictures: new Pictures(), chosen: null, pinned: null, showsChange: false });
    this.stage = part("stage");
    this.link = part("link");
    this.sides = SIDE_NAMES.map((name) => {
      const figure = root.querySelector(`[data-side="${name}"]`);
      const find = (selector) => figure.querySelector(selector);
      return { name, frame: find(".frame"), canvas: find("canvas"), marks: find(".marks"), missing: find(".missing"), caption: find("figcaption") };
    });
    this.stage.addEventListener("keydown", (event) => this.onKey(event));
    part("previous").addEventListener("click", () => this.step(-1));
    part("next").addEventListener("click", () => this.step(1));
    part("change").addEventListener("change", (event) => {
      this.showsChange = event.target.checked;
      this.draw();
    });
    this.resizes = new ResizeObserver(() => this.fit());
    this.resizes.observe(this.stage);
  }

  show(data) {
    const isOther = JSON.stringify([data.anchor, data.positive, data.points]) !== this.signature;
    this.signature = JSON.stringify([data.anchor, data.positive, data.points]);
    this.data = data;
    if (isOther) this.chosen = this.pinned = null;
    const hint = data.points.length ? " Arrow keys go from point to point, Escape leaves them." : "";
    this.stage.setAttribute("aria-label", `${data.description}.${hint}`);
    this.part("steps").hidden = !data.points.length;
    this.part("switch").hidden = !SIDE_NAMES.some((name) => data[name].change_url);
    this.part("notes").replaceChildren(...data.notes.map((note) => Object.assign(document.createElement("li"), { textContent: note })));
    const choose = { point: (place) => this.choose(place), leave: () => this.choose(this.pinned), pin: (place) => this.pin(place) };
    this.sides.forEach((side, place) => {
      const { label } = data[side.name];
      side.caption.textContent = label;
      side.canvas.setAttribute("aria-label", label);
      drawMarks(side.marks, data.points, place ? "b" : "a", data.size, choose);
    });
    this.choose(this.chosen);
    this.fit();
    this.draw();
  }

  /** Draws both views as soon as their pictures are here; a later call overtakes an earlier one. */
  async draw() {
    const { data } = this;
    const wanted = new Set(SIDE_NAMES.flatMap((name) => [`image ${data[name].url}`, `classes ${data[name].change_url}`]));
    await Promise.all(this.sides.map((side) => this.drawSide(side, data)));
    if (data === this.data) this.pictures.keep(wanted);
    this.showLegend();
  }

  async drawSide(side, data) {
    const { url, change_url: changeUrl, matrix } = data[side.name];
    const isWanted = this.showsChange && changeUrl;
    try {
      const [picture, change] = await Promise.all([
        this.pictures.load(url, "image"),
        isWanted ? this.pictures.load(changeUrl, "classes") : null,
      ]);
      if (data !== this.data || Boolean(isWanted) !== Boolean(this.showsChange && changeUrl)) return;
      picture.pixels ??= pixelsOf(picture.bitmap);
      const view = sampledView(picture.pixels, matrix, data.size, data.chip_size);
      if (change) tint(view, change, lookupTable(this.changeColors(), { unlisted: false }), matrix, data.chip_size);
      side.canvas.width = side.canvas.height = data.size;
      side.canvas.getContext("2d").putImageData(view, 0, 0);
      side.missing.hidden = true;
    } catch (error) {
      if (data !== this.data || error.name === "AbortError") return;
      side.canvas.width = side.canvas.height = data.size;
      side.missing.textContent = `${data[side.name].label} could not be loaded: ${error.message}`;
      side.missing.hidden = false;
    }
  }

  changeColors() {
    return new Map(this.data.changes.map(({ index, color }) => [index, color]));
  }

  showLegend() {
    const legend = this.part("legend");
    legend.hidden = !this.showsChange || this.part("switch").hidden;
    legend.replaceChildren(
      ...this.data.changes.map(({ name, color }) => {
        const item = document.createElement("span");
        const swatch = document.createElement("i");
        swatch.style.background = color;
        item.append(swatch, name);
        return item;
      }),
    );
  }

  /** Brings marks and line to the size that the stage has now. */
  fit() {
    if (!this.data) return;
    for (const side of this.sides) sizeMarks(side.marks, this.data.size, this.data.points.length <= MOST_NUMBERED);
    this.relink();
  }

  relink() {
    const point = this.chosen === null ? null : this.data.points[this.chosen];
    drawLink(this.stage, this.link, this.sides, point, this.chosen, this.data.size);
    drawReach(this.sides[1].marks, point, this.data.reach);
  }

  choose(place) {
    this.chosen = place;
    for (const side of this.sides) {
      side.marks.classList.toggle("has-choice", place !== null);
      for (const mark of side.marks.children) {
        const isChosen = Number(mark.dataset.point) === place;
        mark.classList.toggle("chosen", isChosen);
      }
      const mark = place === null ? null : side.marks.querySelector(`[data-point="${place}"]`);
      if (mark && mark !== side.marks.lastElementChild && this.pinned === place) side.marks.append(mark);
    }
    this.part("told").textContent = toldOf(this.data.points, place);
    this.relink();
  }

  pin(place) {
    this.pinned = this.pinned === place ? null : place;
    this.choose(this.pinned ?? place);
  }

  step(by) {
    const { length } = this.data.points;
    if (!length) return;
    const from = this.chosen ?? (by > 0 ? -1 : length);
    this.pinned = (from + by + length) % length;
    this.choose(this.pinned);
  }

  onKey(event) {
    const { length } = this.data.points;
    if (event.target !== this.stage || !length || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key in KEYS) this.step(KEYS[event.key]);
    else if (event.key === "Home" || event.key === "End") this.choose((this.pinned = event.key === "Home" ? 0 : length - 1));
    else if (event.key === "Escape" && this.pinned !== null) this.choose((this.pinned = null));
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  close() {
    this.resizes.disconnect();
    this.pictures.close();
  }
}

const views = new WeakMap();

export default function show({ data, parentElement }) {
  let view = views.get(parentElement);
  if (!view) {
    view = new ViewPair(parentElement.querySelector('[data-part="pair"]'));
    views.set(parentElement, view);
  }
  view.show(data);
  return () => {
    // Streamlit also calls this for a run that a later one overtook, while the views are still on the page.
    setTimeout(() => {
      if (parentElement.isConnected || views.get(parentElement) !== view) return;
      views.delete(parentElement);
      view.close();
    });
  };
}
