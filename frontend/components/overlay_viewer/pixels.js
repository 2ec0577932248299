// Pictures: loading, keeping, colouring. viewer.py joins the files of this folder into one module.

const IGNORE = 255;
const UNLISTED = "#999999";
const KEPT_PIXELS = 32e6;

function isOwnPath(url) {
  return /^\/(?![/\\])/.test(url) && new URL(url, location.href).origin === location.origin;
}

async function refusal(response) {
  const isProblem = (response.headers.get("content-type") ?? "").includes("json");
  const detail = isProblem ? (await response.json().catch(() => null))?.detail : null;
  return typeof detail === "string" ? detail : `the server answered ${response.status}`;
}

async function fetchBitmap(url, signal) {
  if (!isOwnPath(url)) throw new Error("its address is not on this server");
  let response;
  try {
    response = await fetch(url, { signal, credentials: "same-origin", redirect: "error" });
  } catch (error) {
    throw signal.aborted ? error : new Error("the server did not answer");
  }
  if (!response.ok) throw new Error(await refusal(response));
  const blob = await response.blob();
  try {
    // Without these options a colour profile or an alpha channel may change class indices.
    return await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  } catch {
    throw new Error("the file is not an image that can be read");
  }
}

function newCanvas(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return canvas;
}

function indicesOf(bitmap) {
  const context = newCanvas(bitmap.width, bitmap.height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const bytes = context.getImageData(0, 0, bitmap.width, bitmap.height).data;
  const indices = new Uint8Array(bitmap.width * bitmap.height);
  for (let position = 0; position < indices.length; position++) indices[position] = bytes[position * 4];
  return indices;
}

/** Pictures by address. Those on view stay; of the others the latest stay, up to a number of pixels. */
class Pictures {
  constructor() {
    this.entries = new Map();
  }

  /** Returns the picture if it is here already. */
  peek(url, kind) {
    return this.entries.get(`${kind} ${url}`)?.picture ?? null;
  }

  load(url, kind) {
    const name = `${kind} ${url}`;
    let entry = this.entries.get(name);
    if (entry) this.entries.delete(name);
    else entry = this.begin(url, kind);
    this.entries.set(name, entry);
    return entry.promise;
  }

  begin(url, kind) {
    const abort = new AbortController();
    const entry = { abort, picture: null, dropped: false };
    entry.promise = fetchBitmap(url, abort.signal).then(
      (bitmap) => {
        const { width, height } = bitmap;
        const isImage = kind === "image" && !entry.dropped;
        entry.picture = { width, height, bitmap: isImage ? bitmap : null, indices: null, painted: null };
        if (kind !== "image") entry.picture.indices = indicesOf(bitmap);
        if (!isImage) bitmap.close();
        return entry.picture;
      },
      (error) => {
        if (this.entries.get(`${kind} ${url}`) === entry) this.entries.delete(`${kind} ${url}`);
        throw error;
      },
    );
    return entry;
  }

  /** Stops what is no longer wanted and forgets the oldest beyond the limit. `wanted` holds "kind url". */
  keep(wanted) {
    let pixels = 0;
    for (const [name, entry] of [...this.entries].reverse()) {
      const size = entry.picture ? entry.picture.width * entry.picture.height : 0;
      pixels += size;
      if (wanted.has(name) || (entry.picture && pixels <= KEPT_PIXELS)) continue;
      this.drop(name, entry);
    }
  }

  drop(name, entry) {
    this.entries.delete(name);
    entry.dropped = true;
    entry.abort.abort();
    entry.picture?.bitmap?.close();
  }

  close() {
    for (const [name, entry] of this.entries) this.drop(name, entry);
  }
}

/** Returns 256 colours as the 32-bit words of an ImageData; what is hidden or transparent is 0. */
function lookupTable(colors, { unlisted }) {
  const table = new Uint32Array(256);
  const bytes = new Uint8ClampedArray(table.buffer);
  for (let index = 0; index < 256; index++) {
    const color = colors.get(index) ?? (unlisted ? UNLISTED : "transparent");
    if (color === "transparent") continue;
    for (let channel = 0; channel < 3; channel++) {
      bytes[index * 4 + channel] = parseInt(color.slice(1 + channel * 2, 3 + channel * 2), 16);
    }
    bytes[index * 4 + 3] = 255;
  }
  return table;
}

function paint(indices, width, height, table) {
  const image = new ImageData(width, height);
  const words = new Uint32Array(image.data.buffer);
  for (let position = 0; position < indices.length; position++) words[position] = table[indices[position]];
  const canvas = newCanvas(width, height);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

/** Returns per pixel of the prediction: 0 right or not scored, 1 missed, 2 false alarm, 3 wrong class. */
function errorsOf(label, prediction) {
  const errors = new Uint8Array(prediction.indices.length);
  for (let y = 0; y < prediction.height; y++) {
    const labelRow = Math.floor(((y + 0.5) * label.height) / prediction.height) * label.width;
    for (let x = 0; x < prediction.width; x++) {
      const position = y * prediction.width + x;
      const truth = label.indices[labelRow + Math.floor(((x + 0.5) * label.width) / prediction.width)];
      const guess = prediction.indices[position];
      if (truth === guess || truth === IGNORE || guess === IGNORE) continue;
      errors[position] = guess === 0 ? 1 : truth === 0 ? 2 : 3;
    }
  }
  return errors;
}
