// The matched points: marks of one colour in both views, and the line between two of them.

const SVG = "http://www.w3.org/2000/svg";
const GOLDEN_ANGLE = 137.508;
const MOST_NUMBERED = 48;
const RADIUS = 9;

const colorOf = (place) => `hsl(${((place * GOLDEN_ANGLE) % 360).toFixed(1)} 90% ${place % 2 ? 72 : 60}%)`;

function svgElement(tag, className) {
  const node = document.createElementNS(SVG, tag);
  if (className) node.setAttribute("class", className);
  return node;
}

/** Returns the mark of a point; `choose` is told when it is pointed at, left or clicked. */
function markOf(point, place, isNumbered, choose) {
  const mark = svgElement("g", point.excluded ? "mark excluded" : "mark");
  mark.dataset.point = place;
  mark.style.setProperty("--color", colorOf(place));
  mark.append(svgElement("circle", "under"), svgElement("circle", "over"));
  if (isNumbered) {
    const number = svgElement("text");
    number.textContent = place + 1;
    mark.append(number);
  }
  mark.addEventListener("pointerenter", () => choose.point(place));
  mark.addEventListener("pointerleave", () => choose.leave());
  mark.addEventListener("click", () => choose.pin(place));
  return mark;
}

function drawMarks(svg, points, end, size, choose) {
  svg.setAttribute("viewBox", `0 0 ${size} ${size}`);
  const isNumbered = points.length <= MOST_NUMBERED;
  svg.replaceChildren(
    ...points.map((point, place) => {
      const mark = markOf(point, place, isNumbered, choose);
      mark.setAttribute("transform", `translate(${point[end][0]} ${point[end][1]})`);
      return mark;
    }),
  );
}

/** Draws how far around a chosen point's end other cells match it too, in pixels of the view, or nothing. */
function drawReach(svg, point, reach) {
  svg.querySelector(".reach")?.remove();
  if (!point || !reach) return;
  const ring = svgElement("circle", "reach");
  for (const [name, value] of Object.entries({ cx: point.b[0], cy: point.b[1], r: reach })) ring.setAttribute(name, value);
  svg.prepend(ring);
}

/** Gives marks their size on the screen: the same whatever the view's number of pixels is. */
function sizeMarks(svg, size, isNumbered) {
  const unit = size / (svg.clientWidth || size);
  const radius = isNumbered ? RADIUS - 1 : 4;
  for (const circle of svg.querySelectorAll(".mark circle")) {
    circle.setAttribute("r", radius * unit);
    circle.setAttribute("stroke-width", (circle.classList.contains("under") ? 4 : 1.75) * unit);
  }
  for (const text of svg.querySelectorAll("text")) text.setAttribute("font-size", 9.5 * unit);
}

/** Draws the line from a chosen point to its partner, or none. */
function drawLink(stage, link, sides, point, place, size) {
  link.classList.toggle("shown", point !== null);
  if (!point) return;
  const origin = stage.getBoundingClientRect();
  const [from, to] = ["a", "b"].map((end, side) => {
    const frame = sides[side].frame.getBoundingClientRect();
    const [x, y] = point[end];
    return [frame.left - origin.left + (x * frame.width) / size, frame.top - origin.top + (y * frame.height) / size];
  });
  const length = Math.hypot(to[0] - from[0], to[1] - from[1]);
  const cut = length > 4 * RADIUS ? RADIUS / length : 0; // the marks themselves stay readable
  const along = (share) => [0, 1].map((axis) => from[axis] + (to[axis] - from[axis]) * share);
  const [[x1, y1], [x2, y2]] = [along(cut), along(1 - cut)];
  for (const line of link.children) {
    for (const [name, value] of Object.entries({ x1, y1, x2, y2 })) line.setAttribute(name, value);
  }
  link.querySelector(".line").style.stroke = colorOf(place);
}

/** Returns in words where a chosen point and its partner are, or how many points there are. */
function toldOf(points, place) {
  if (!points.length) return "";
  const out = points.filter(({ excluded }) => excluded).length;
  if (place === null) {
    const excluded = out ? `, ${out} of them hollow: left out of the loss, as the place changes there` : "";
    return `${points.length} matched ${points.length === 1 ? "point" : "points"}${excluded}.`;
  }
  const { a, b, excluded } = points[place];
  const [from, to] = [a, b].map(([x, y]) => `${x.toFixed(1)}, ${y.toFixed(1)}`);
  const note = excluded ? "; left out of the loss" : "";
  return `Point ${place + 1} of ${points.length}: x, y ${from} in the anchor is matched with ${to} in the positive${note}.`;
}
