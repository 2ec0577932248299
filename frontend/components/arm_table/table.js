// Arms side by side. Names come from data and reach the page as text only; images come from this server only.

function badgesOf(badges) {
  const node = element("span", "badges");
  node.append(...badges.map(({ text, tone }) => element("span", `badge ${tone}`, text)));
  return node;
}

function headOf({ title, color, badges }) {
  const head = element("th");
  head.scope = "col";
  const line = element("span", "color");
  line.style.background = color;
  head.append(line, element("span", "", title), badgesOf(badges));
  return head;
}

function cellOf({ images, badges, note }, changes) {
  const cell = element("td");
  if (!images.length) {
    cell.append(element("div", "note", note));
    return cell;
  }
  const frame = element("div", "images");
  frame.style.setProperty("--images", images.length);
  frame.append(...images.map((image) => picture(image, changes)));
  cell.append(frame, badgesOf(badges));
  return cell;
}

/** Returns a place as a group of rows: its name, and the pairs of all arms. */
function bodyOf({ title, cells }, changes) {
  const body = element("tbody");
  const name = element("th");
  name.scope = "rowgroup";
  name.colSpan = cells.length;
  name.append(element("span", "", title));
  const rows = [element("tr", "place"), element("tr")];
  rows[0].append(name);
  rows[1].append(...cells.map((cell) => cellOf(cell, changes)));
  body.append(...rows);
  return body;
}

const shown = new WeakMap();

export default function show({ data, parentElement }) {
  const table = parentElement.querySelector('[data-part="table"]');
  parentElement.querySelector('[data-part="scroll"]').setAttribute("aria-label", data.description);
  const known = shown.get(parentElement) ?? { head: "", bodies: new Map() };
  const head = JSON.stringify(data.columns);
  if (head !== known.head) {
    const row = element("tr");
    row.append(...data.columns.map(headOf));
    const group = element("thead");
    group.append(row);
    table.tHead?.remove();
    table.prepend(group);
  }
  // A place that shows the same as before stays as it is, so that its images do not flicker.
  const bodies = new Map();
  for (const row of data.rows) {
    const signature = JSON.stringify(row);
    bodies.set(signature, known.bodies.get(signature) ?? bodyOf(row, data.changes));
  }
  for (const body of [...table.tBodies]) body.remove();
  table.append(...bodies.values());
  shown.set(parentElement, { head, bodies });
}
