// Where things are on the canvas. A camera is {zoom, x, y}: zoom 1 shows all; (x, y) in [0, 1]² of the picture is the centre.

const WHOLE = { zoom: 1, x: 0.5, y: 0.5 };
const CSS_PIXELS_PER_PIXEL = 64;
const GAP = 6;
const LEAST_HEIGHT = 160;

/** Returns one or two rectangles; two lie side by side or one above the other, whichever shows the picture larger. */
function paneRects(mode, width, height, picture) {
  if (mode !== "side_by_side") return [{ x: 0, y: 0, width, height }];
  const beside = { width: (width - GAP) / 2, height };
  const stacked = { width, height: (height - GAP) / 2 };
  const isBeside = fitScale(beside, picture) >= fitScale(stacked, picture);
  const pane = isBeside ? beside : stacked;
  return [
    { x: 0, y: 0, ...pane },
    { x: isBeside ? pane.width + GAP : 0, y: isBeside ? 0 : pane.height + GAP, ...pane },
  ];
}

/** Returns the height of the canvas, at most `limit`, below which the picture would be smaller. */
function usefulHeight(mode, width, limit, picture) {
  const panes = paneRects(mode, width, limit, picture);
  const isStacked = panes.length === 2 && panes[1].y > 0;
  const paneHeight = picture.height * fitScale(panes[0], picture);
  return Math.max(Math.ceil(isStacked ? 2 * paneHeight + GAP : paneHeight), LEAST_HEIGHT);
}

function fitScale(pane, picture) {
  return Math.min(pane.width / picture.width, pane.height / picture.height);
}

function maxZoom(pane, picture) {
  return Math.max(8, CSS_PIXELS_PER_PIXEL / fitScale(pane, picture));
}

/** Returns the rectangle that the whole picture covers, in CSS pixels of the canvas. */
function placed(camera, pane, picture) {
  const scale = fitScale(pane, picture) * camera.zoom;
  const width = picture.width * scale;
  const height = picture.height * scale;
  return {
    x: pane.x + pane.width / 2 - camera.x * width,
    y: pane.y + pane.height / 2 - camera.y * height,
    width,
    height,
  };
}

/** Returns the camera with zoom in range and no more empty border than the whole picture has. */
function clamped(camera, pane, picture) {
  const zoom = Math.min(Math.max(camera.zoom, 1), maxZoom(pane, picture));
  const scale = fitScale(pane, picture) * zoom;
  const clampAxis = (centre, paneSize, size) => {
    const margin = paneSize / 2 / size;
    return margin >= 0.5 ? 0.5 : Math.min(Math.max(centre, margin), 1 - margin);
  };
  return {
    zoom,
    x: clampAxis(camera.x, pane.width, picture.width * scale),
    y: clampAxis(camera.y, pane.height, picture.height * scale),
  };
}

/** Returns the camera zoomed by `factor` so that the place under (px, py) stays there. */
function zoomed(camera, factor, px, py, pane, picture) {
  const before = placed(camera, pane, picture);
  const zoom = Math.min(Math.max(camera.zoom * factor, 1), maxZoom(pane, picture));
  const scale = fitScale(pane, picture) * zoom;
  const u = (px - before.x) / before.width;
  const v = (py - before.y) / before.height;
  const x = u - (px - pane.x - pane.width / 2) / (picture.width * scale);
  const y = v - (py - pane.y - pane.height / 2) / (picture.height * scale);
  return clamped({ zoom, x, y }, pane, picture);
}

function panned(camera, dx, dy, pane, picture) {
  const rect = placed(camera, pane, picture);
  return clamped({ zoom: camera.zoom, x: camera.x - dx / rect.width, y: camera.y - dy / rect.height }, pane, picture);
}
