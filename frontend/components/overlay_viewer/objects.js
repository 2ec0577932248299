// Labelled objects over the images: loaded when they are first wanted, drawn by kind, found under the pointer.

const NEAR_PIXELS = 4;
const OBJECT_LINE = 1.6;
const OTHER_KIND = "#bbbbbb";
const probe = newCanvas(1, 1).getContext("2d");

function pathOf(rings) {
  const path = new Path2D();
  for (const ring of rings) {
    ring.forEach(([x, y], place) => (place ? path.lineTo(x, y) : path.moveTo(x, y)));
    path.closePath();
  }
  return path;
}

function boxOf(rings) {
  const box = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
  for (const [x, y] of rings.flat()) {
    box.left = Math.min(box.left, x);
    box.right = Math.max(box.right, x);
    box.top = Math.min(box.top, y);
    box.bottom = Math.max(box.bottom, y);
  }
  return box;
}

/** The objects of addresses, and per kind one path of all its objects. */
class Objects {
  constructor(changed) {
    this.changed = changed;
    this.entries = new Map();
  }

  /** Returns {objects, kinds: Map of kind to path, problem} as far as it is here; asks for it the first time. */
  at(url) {
    let entry = this.entries.get(url);
    if (!entry) {
      entry = { objects: [], kinds: new Map(), problem: null, abort: new AbortController() };
      this.entries.set(url, entry);
      this.load(url, entry);
    }
    return entry;
  }

  async load(url, entry) {
    try {
      if (!isOwnPath(url)) throw new Error("its address is not on this server");
      const response = await fetch(url, { signal: entry.abort.signal, credentials: "same-origin", redirect: "error" });
      if (!response.ok) throw new Error(await refusal(response));
      const objects = await response.json().catch(() => {
        throw new Error("the answer cannot be read");
      });
      entry.objects = objects.map((each) => ({ ...each, path: pathOf(each.rings), box: boxOf(each.rings) }));
      for (const { kind, path } of entry.objects) {
        if (!entry.kinds.has(kind)) entry.kinds.set(kind, new Path2D());
        entry.kinds.get(kind).addPath(path);
      }
    } catch (error) {
      if (entry.abort.signal.aborted) return;
      entry.problem = error.message;
    }
    this.changed();
  }

  /** Forgets all addresses but these, and what could not be loaded. */
  keep(urls) {
    for (const [url, entry] of this.entries) {
      if (urls.has(url) && !entry.problem) continue;
      entry.abort.abort();
      this.entries.delete(url);
    }
  }

  close() {
    this.keep(new Set());
  }
}

/** Returns the smallest object at (x, y), or the nearest within `near`; all in pixels of the picture. */
function objectAt(objects, x, y, near, isHidden) {
  let found = null;
  probe.lineWidth = 2 * near;
  for (const each of objects) {
    const { left, top, right, bottom } = each.box;
    if (x < left - near || x > right + near || y < top - near || y > bottom + near || isHidden(each)) continue;
    if (found && found.area <= each.area) continue;
    if (probe.isPointInPath(each.path, x, y, "evenodd") || probe.isPointInStroke(each.path, x, y)) found = each;
  }
  return found;
}

/** Strokes a path twice, dark below its colour, so that it is seen on every ground. */
function strokeTwice(context, path, color, width) {
  context.lineJoin = "round";
  context.strokeStyle = "rgb(0 0 0 / 75%)";
  context.lineWidth = width * 2;
  context.stroke(path);
  context.strokeStyle = color;
  context.lineWidth = width;
  context.stroke(path);
}

/** Draws objects over a picture that covers `rect`; `marked` names the object to stand out. */
function drawObjects(context, entry, { rect, picture }, { colors, hidden, marked }) {
  const scale = rect.width / picture.width;
  context.save();
  context.translate(rect.x, rect.y);
  context.scale(scale, rect.height / picture.height);
  for (const [kind, path] of entry.kinds) {
    if (!hidden.has(kindId(kind))) strokeTwice(context, path, colors.get(kind) ?? OTHER_KIND, OBJECT_LINE / scale);
  }
  for (const each of marked === null ? [] : entry.objects.filter(({ name }) => name === marked)) {
    const color = colors.get(each.kind) ?? OTHER_KIND;
    context.globalAlpha = 0.3;
    context.fillStyle = color;
    context.fill(each.path, "evenodd");
    context.globalAlpha = 1;
    strokeTwice(context, each.path, color, (2 * OBJECT_LINE) / scale);
  }
  context.restore();
}

const kindId = (kind) => `o${kind}`;

/** Shows what is known of an object: its identifier, and per image its class and area. */
function showObject(host, name, facts, colors) {
  const signature = JSON.stringify([name, facts]);
  host.hidden = name === null;
  if (name === null || host.dataset.shown === signature) return;
  host.dataset.shown = signature;
  const rows = facts.map(({ label, kind, area }) => {
    const row = element("span", "object-row");
    row.append(element("span", "value-label", label), swatch(colors.get(kind) ?? OTHER_KIND));
    row.append(element("span", "", kind), element("span", "object-area", `${Math.round(area).toLocaleString("en").replaceAll(",", " ")} px²`));
    return row;
  });
  host.replaceChildren(element("span", "object-name", name), ...rows);
}
