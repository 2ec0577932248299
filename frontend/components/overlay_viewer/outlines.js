// Outlines of classes, so that what lies inside them stays visible. Found per pixel of the screen: the time does not
// depend on how ragged a prediction is, and lines keep their width at every zoom.

const LINE = 2;
const RIM = 1;
const RIM_COLOR = 0xff000000;
const MOST_SCREEN_PIXELS = 4e6;
const sheet = newCanvas(1, 1);

/** Returns per screen pixel from - margin to to + margin the source pixel on one axis. */
function sourcePixels(from, to, margin, origin, length, count) {
  const found = new Int32Array(to - from + 2 * margin);
  for (let place = 0; place < found.length; place++) {
    const source = Math.floor(((from - margin + place + 0.5 - origin) / length) * count);
    found[place] = Math.min(Math.max(source, 0), count - 1);
  }
  return found;
}

/** Writes lines inside the classes that have a colour in `table`, and a dark rim outside, into 32-bit words. */
function outline(words, picture, table, columns, rows, line, rim) {
  const { indices, width: stride } = picture;
  const width = columns.length - 2 * line;
  const height = rows.length - 2 * line;
  for (let y = 0; y < height; y++) {
    const row = rows[y + line] * stride;
    const [up, down] = [rows[y] * stride, rows[y + 2 * line] * stride];
    const [rimUp, rimDown] = [rows[y + line - rim] * stride, rows[y + line + rim] * stride];
    for (let x = 0; x < width; x++) {
      const column = columns[x + line];
      const own = indices[row + column];
      const [left, right] = [columns[x], columns[x + 2 * line]];
      const isLine =
        indices[up + column] !== own || indices[down + column] !== own || indices[row + left] !== own || indices[row + right] !== own;
      if (!isLine) continue;
      if (table[own]) {
        words[y * width + x] = table[own];
        continue;
      }
      const [rimLeft, rimRight] = [columns[x + line - rim], columns[x + line + rim]];
      const isRim =
        table[indices[rimUp + column]] ||
        table[indices[rimDown + column]] ||
        table[indices[row + rimLeft]] ||
        table[indices[row + rimRight]];
      if (isRim) words[y * width + x] = RIM_COLOR;
    }
  }
}

/** Draws the outlines of a layer that covers `rect`, as far as it lies in `clip`; all in CSS pixels. */
function drawOutlines(context, picture, table, rect, clip, screenRatio, opacity) {
  const ratio = clip.width * clip.height * screenRatio ** 2 > MOST_SCREEN_PIXELS ? 1 : screenRatio;
  const left = Math.floor(Math.max(rect.x, clip.x) * ratio);
  const top = Math.floor(Math.max(rect.y, clip.y) * ratio);
  const right = Math.ceil(Math.min(rect.x + rect.width, clip.x + clip.width) * ratio);
  const bottom = Math.ceil(Math.min(rect.y + rect.height, clip.y + clip.height) * ratio);
  if (right <= left || bottom <= top) return;
  const [line, rim] = [Math.round(LINE * ratio), Math.round(RIM * ratio)];
  const columns = sourcePixels(left, right, line, rect.x * ratio, rect.width * ratio, picture.width);
  const rows = sourcePixels(top, bottom, line, rect.y * ratio, rect.height * ratio, picture.height);
  const image = new ImageData(right - left, bottom - top);
  outline(new Uint32Array(image.data.buffer), picture, table, columns, rows, line, rim);
  sheet.width = image.width;
  sheet.height = image.height;
  sheet.getContext("2d").putImageData(image, 0, 0);
  context.globalAlpha = opacity;
  context.imageSmoothingEnabled = false;
  context.drawImage(sheet, left / ratio, top / ratio, image.width / ratio, image.height / ratio);
  context.globalAlpha = 1;
}
