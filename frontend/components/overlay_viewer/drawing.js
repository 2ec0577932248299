// Strokes on the canvas, in its CSS pixels.

function clipTo(context, { x, y, width, height }) {
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
}

/** Draws an image: its pixels stay sharp once one of them covers two or more of the screen. */
function drawPicture(context, bitmap, rect, ratio) {
  context.imageSmoothingEnabled = (rect.width * ratio) / bitmap.width < 2;
  context.imageSmoothingQuality = "medium";
  context.drawImage(bitmap, rect.x, rect.y, rect.width, rect.height);
}

/** Draws a coloured layer: never blurred when enlarged, since there is no class between two classes. */
function drawOverlay(context, painted, rect, ratio, opacity) {
  context.globalAlpha = opacity;
  context.imageSmoothingEnabled = (rect.width * ratio) / painted.width < 1;
  context.drawImage(painted, rect.x, rect.y, rect.width, rect.height);
  context.globalAlpha = 1;
}

/** Marks the place (u, v) of the picture by four strokes that leave its pixel free. */
function drawCross(context, rect, { u, v }) {
  const x = rect.x + u * rect.width;
  const y = rect.y + v * rect.height;
  const strokes = [
    ["#000000", 4],
    ["#ffffff", 1.8],
  ];
  const directions = [
    [1, 0],
    [-1, 0],
    [0, 1],
    [0, -1],
  ];
  for (const [style, width] of strokes) {
    context.strokeStyle = style;
    context.lineWidth = width;
    context.beginPath();
    for (const [dx, dy] of directions) {
      context.moveTo(x + dx * 3, y + dy * 3);
      context.lineTo(x + dx * 10, y + dy * 10);
    }
    context.stroke();
  }
}
