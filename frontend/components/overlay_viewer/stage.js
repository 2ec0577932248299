// The canvas: its size, and what is drawn on it.

/** Gives the canvas its size in pixels of the screen, and the camera its bounds. */
function layOut(viewer) {
  const { frame } = viewer.parts;
  const reference = viewer.reference();
  const isFull = viewer.root.getRootNode().fullscreenElement === viewer.root;
  const width = frame.clientWidth;
  const height = reference ? usefulHeight(viewer.view.mode, width, viewer.data.height, reference) : viewer.data.height;
  frame.style.height = isFull ? "" : `${height}px`;
  viewer.size = { width, height: frame.clientHeight };
  const ratio = window.devicePixelRatio || 1;
  const pixels = { width: Math.round(width * ratio), height: Math.round(viewer.size.height * ratio) };
  if (viewer.canvas.width !== pixels.width) viewer.canvas.width = pixels.width;
  if (viewer.canvas.height !== pixels.height) viewer.canvas.height = pixels.height;
  const [pane] = viewer.panes();
  if (pane) viewer.camera = clamped(viewer.camera, pane, reference);
}

/** Draws both sides as the mode has them. */
function drawStage(viewer) {
  const context = viewer.canvas.getContext("2d");
  const ratio = window.devicePixelRatio || 1;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, viewer.size.width, viewer.size.height);
  const panes = viewer.panes();
  if (!panes.length) return;
  const cut = viewer.divider * viewer.size.width;
  for (const [number, side] of sidesOf(viewer.view).entries()) {
    if (viewer.view.mode === "flicker" && viewer.flicker.isSecond !== (number === 1)) continue;
    const pane = panes[Math.min(number, panes.length - 1)];
    const rect = placed(viewer.camera, pane, viewer.reference());
    const half = { ...pane, x: number ? cut : 0, width: number ? pane.width - cut : cut };
    const clip = viewer.view.mode === "swipe" ? half : pane;
    context.save();
    clipTo(context, clip);
    drawSide(viewer, context, side, { rect, clip, ratio });
    const isInOtherPane = viewer.cursor && panes.length > 1 && viewer.cursor.pane !== number;
    if (isInOtherPane || viewer.cursor?.pane === null) drawCross(context, rect, viewer.cursor);
    context.restore();
  }
}

function drawSide(viewer, context, sideName, { rect, clip, ratio }) {
  const side = viewer.view[sideName];
  const image = viewer.data.images.find(({ key }) => key === side.image);
  const picture = image && viewer.pictures.peek(image.url, "image");
  if (picture) drawPicture(context, picture.bitmap, rect, ratio);
  const overlay = overlaysOf(viewer.data).find(({ key }) => key === side.overlay);
  if (viewer.isBare) return;
  if (overlay) viewer.painter.draw(context, overlay, { rect, clip, ratio }, viewer.data, viewer.view);
  const entry = viewer.objectsOf(sideName);
  const marks = { colors: kindColors(viewer.data), hidden: viewer.view.hidden, marked: viewer.hovered?.name ?? viewer.picked };
  if (entry) drawObjects(context, entry, { rect, picture: viewer.reference() }, marks);
}
