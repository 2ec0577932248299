// The controls around the canvas. Names come from data and reach the page as text only.

function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function fillSelect(select, options, value) {
  const signature = JSON.stringify(options);
  if (select.dataset.options !== signature) {
    select.replaceChildren(
      ...options.map(({ key, label }) => {
        const option = element("option", "", label);
        option.value = key;
        return option;
      }),
    );
    select.dataset.options = signature;
  }
  select.value = value;
}

function swatch(color) {
  const node = element("span", color === "transparent" ? "swatch none" : "swatch");
  if (color !== "transparent") node.style.backgroundColor = color;
  return node;
}

/** Shows the groups of switches: [{name, items: [{id, name, color, on}]}]; numbers 1 to 9 are their keys. */
function showLegend(host, groups, toggle) {
  const signature = JSON.stringify(groups.map(({ name, items }) => [name, items.map(({ id, name, color }) => [id, name, color])]));
  if (host.dataset.groups !== signature) {
    let number = 0;
    host.replaceChildren(
      ...groups.map(({ name, items }) => {
        const group = element("div", "legend-group");
        if (groups.length > 1) group.append(element("span", "legend-name", name));
        for (const item of items) {
          const button = element("button", "legend-item");
          button.type = "button";
          button.dataset.id = item.id;
          number += 1;
          button.append(swatch(item.color), element("span", "legend-text", item.name));
          if (number <= 9) {
            button.append(element("kbd", "", String(number)));
            button.setAttribute("aria-keyshortcuts", String(number));
          }
          button.addEventListener("click", () => toggle(item.id));
          group.append(button);
        }
        return group;
      }),
    );
    host.dataset.groups = signature;
  }
  const isOn = new Map(groups.flatMap(({ items }) => items.map(({ id, on }) => [id, on])));
  for (const button of host.querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(isOn.get(button.dataset.id)));
  }
}

/** Shows the place and what each layer says of it: [{label, text, color}]. Without a place, dashes hold the room. */
function showReadout(host, place, values) {
  const parts = [element("span", "place", place ? `x ${place.x}, y ${place.y}` : "x –, y –")];
  for (const { label, text, color } of values) {
    const value = element("span", "value");
    value.append(element("span", "value-label", label), swatch(color), element("span", "value-text", text));
    parts.push(value);
  }
  host.replaceChildren(...parts);
}

function showProblems(host, list, problems) {
  const texts = problems.map(({ label, reason }) => `${label} could not be loaded: ${reason.replace(/\.$/, "")}.`);
  const signature = JSON.stringify(texts);
  host.hidden = texts.length === 0;
  if (list.dataset.texts === signature) return;
  list.replaceChildren(...texts.map((text) => element("li", "", text)));
  list.dataset.texts = signature;
}
