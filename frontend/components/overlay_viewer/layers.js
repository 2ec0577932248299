// What lies over an image: which pictures it needs, how it is coloured, what it says of a pixel.

const ERRORS_OF = "errors:";
const SIDES = ["left", "right"];

/** Returns the overlays on offer: [{key, label, kind, of}]; `of` is the layer whose pixels are read. */
function overlaysOf(data) {
  const label = data.layers.find(({ kind }) => kind === "label");
  const layers = data.layers.map((layer) => ({ key: layer.key, label: layer.label, kind: layer.kind, of: layer }));
  if (!label) return layers;
  const errors = data.layers
    .filter(({ kind }) => kind === "prediction")
    .map((layer) => ({ key: ERRORS_OF + layer.key, label: `Errors: ${layer.label}`, kind: "errors", of: layer, truth: label }));
  return [...layers, ...errors];
}

function wantedOf(data) {
  return [
    ...data.images.map(({ url, label }) => ({ url, label, kind: "image" })),
    ...data.layers.map(({ url, label }) => ({ url, label, kind: "classes" })),
  ];
}

const nameOf = ({ url, kind }) => `${kind} ${url}`;

/** Colours layers and remembers the result until a switch or the pixels change. */
class Painter {
  constructor(pictures) {
    this.pictures = pictures;
    this.errors = new WeakMap();
  }

  /** Returns the class indices to show, or null while a picture is missing. */
  picture(overlay) {
    const own = this.pictures.peek(overlay.of.url, "classes");
    if (overlay.kind !== "errors" || !own) return own;
    const label = this.pictures.peek(overlay.truth.url, "classes");
    if (!label) return null;
    const known = this.errors.get(own);
    if (known?.label === label) return known;
    const { width, height } = own;
    const fresh = { label, width, height, indices: errorsOf(label, own), painted: null };
    this.errors.set(own, fresh);
    return fresh;
  }

  /** Returns the coloured canvas of a picture. */
  paint(picture, colors, unlisted) {
    const signature = JSON.stringify([...colors]);
    if (picture.painted?.signature !== signature) {
      const table = lookupTable(colors, { unlisted });
      picture.painted = { signature, canvas: paint(picture.indices, picture.width, picture.height, table) };
    }
    return picture.painted.canvas;
  }

  /** Draws an overlay, if its pictures are here. */
  draw(context, overlay, { rect, clip, ratio }, data, view) {
    const picture = this.picture(overlay);
    if (!picture) return;
    const items = legendItems(overlay.kind, data, true);
    const colors = new Map(items.map(({ id, index, color }) => [index, view.hidden.has(id) ? "transparent" : color]));
    const unlisted = overlay.kind === "label" || overlay.kind === "prediction";
    if (view.outline) drawOutlines(context, picture, lookupTable(colors, { unlisted }), rect, clip, ratio, view.opacity);
    else drawOverlay(context, this.paint(picture, colors, unlisted), rect, ratio, view.opacity);
  }
}

const GROUP_NAMES = { label: "Classes", prediction: "Classes", change: "Change", errors: "Errors" };

/** Returns the values that a kind of layer can have: [{id, index, name, color}]. */
function legendItems(kind, data, withIgnored) {
  if (kind === "errors") return data.errors.map((item, place) => ({ ...item, id: `e${place + 1}`, index: place + 1 }));
  if (kind === "change") return data.changes.map((item) => ({ ...item, id: `x${item.index}` }));
  const classes = data.classes.map((item) => ({ ...item, id: `c${item.index}` }));
  if (withIgnored) classes.push({ id: `c${IGNORE}`, index: IGNORE, name: "not scored", color: UNLISTED });
  return classes;
}

function hasIgnored(picture) {
  if (picture) picture.hasIgnored ??= picture.indices.includes(IGNORE);
  return picture?.hasIgnored ?? false;
}

/** Returns the legend of the overlays on view, one group for classes, one for errors, one for change. */
function legendGroups(overlays, data, hidden, painter) {
  const kinds = new Map();
  for (const overlay of overlays) {
    const name = GROUP_NAMES[overlay.kind];
    const isIgnoring = name === "Classes" && hasIgnored(painter.picture(overlay));
    const known = kinds.get(name);
    kinds.set(name, { kind: overlay.kind, isIgnoring: isIgnoring || known?.isIgnoring });
  }
  return Object.values(GROUP_NAMES)
    .filter((name, place, all) => all.indexOf(name) === place && kinds.has(name))
    .map((name) => ({
      name,
      items: legendItems(kinds.get(name).kind, data, kinds.get(name).isIgnoring)
        .filter(({ color }) => color !== "transparent")
        .map((item) => ({ id: item.id, name: item.name, color: item.color, on: !hidden.has(item.id) })),
    }));
}

/** Returns what each layer says of the place (u, v) in [0, 1)², or of no place: [{label, text, color}]. */
function valuesAt(place, data, pictures) {
  return data.layers.map((layer) => {
    const picture = pictures.peek(layer.url, "classes");
    if (!place || !picture) return { label: layer.label, text: "–", color: "transparent" };
    const row = Math.floor(place.v * picture.height);
    const index = picture.indices[row * picture.width + Math.floor(place.u * picture.width)];
    const item = legendItems(layer.kind, data, true).find((each) => each.index === index);
    const unlisted = layer.kind === "change" ? "no change" : `class ${index}`;
    return { label: layer.label, text: item?.name ?? unlisted, color: item?.color ?? "transparent" };
  });
}

function sidesOf(view) {
  return view.mode === "single" ? ["left"] : SIDES;
}

/** Returns the view with keys that this data has; others are replaced by the initial ones. */
function fittedView(view, data, initial) {
  const images = new Set(data.images.map(({ key }) => key));
  const overlays = new Set([null, ...overlaysOf(data).map(({ key }) => key)]);
  const fit = (side) => ({
    image: images.has(view[side].image) ? view[side].image : initial[side].image,
    overlay: overlays.has(view[side].overlay) ? view[side].overlay : initial[side].overlay,
  });
  return { ...view, left: fit("left"), right: fit("right") };
}
