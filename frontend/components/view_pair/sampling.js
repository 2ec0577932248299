// What a view shows: its chip, sampled through the view's matrix as training samples it.

const CHANGE_OPACITY = 0.55;

function pixelsOf(bitmap) {
  const context = newCanvas(bitmap.width, bitmap.height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

const clamped = (value, most) => Math.min(Math.max(value, 0), most);

/** Calls `visit(pixel, x, y)` for the pixels of a view; x and y are the place in a picture of the chip, pixels. */
function eachPixel({ matrix, size, chipSize, width, height }, visit) {
  const [[a, b, c], [d, e, f]] = matrix;
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      const u = column + 0.5;
      const v = row + 0.5;
      visit(row * size + column, ((a * u + b * v + c) * width) / chipSize, ((d * u + e * v + f) * height) / chipSize);
    }
  }
}

/** Returns the view as ImageData: bilinear, and beyond the chip its border goes on. */
function sampledView(pixels, matrix, size, chipSize) {
  const { data, width, height } = pixels;
  const view = new ImageData(size, size);
  eachPixel({ matrix, size, chipSize, width, height }, (pixel, x, y) => {
    const left = Math.floor(x - 0.5);
    const top = Math.floor(y - 0.5);
    const right = x - 0.5 - left;
    const down = y - 0.5 - top;
    const columns = [clamped(left, width - 1), clamped(left + 1, width - 1)];
    const rows = [clamped(top, height - 1) * width, clamped(top + 1, height - 1) * width];
    for (let channel = 0; channel < 3; channel++) {
      const at = (place) => data[place * 4 + channel];
      const above = at(rows[0] + columns[0]) * (1 - right) + at(rows[0] + columns[1]) * right;
      const below = at(rows[1] + columns[0]) * (1 - right) + at(rows[1] + columns[1]) * right;
      view.data[pixel * 4 + channel] = above * (1 - down) + below * down;
    }
    view.data[pixel * 4 + 3] = 255;
  });
  return view;
}

/** Lays the colours of a change map over a view; `table` holds 32-bit colours by class. */
function tint(view, change, table, matrix, chipSize) {
  const { indices, width, height } = change;
  const bytes = new Uint8ClampedArray(table.buffer);
  eachPixel({ matrix, size: view.width, chipSize, width, height }, (pixel, x, y) => {
    const place = clamped(Math.floor(y), height - 1) * width + clamped(Math.floor(x), width - 1);
    const index = indices[place];
    if (!table[index]) return;
    for (let channel = 0; channel < 3; channel++) {
      const at = pixel * 4 + channel;
      view.data[at] = view.data[at] * (1 - CHANGE_OPACITY) + bytes[index * 4 + channel] * CHANGE_OPACITY;
    }
  });
}
