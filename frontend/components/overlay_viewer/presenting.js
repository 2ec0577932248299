// What the controls, tags and readouts around the canvas say of a viewer.

function showControls(viewer) {
  const { parts, data, view, root } = viewer;
  root.dataset.mode = view.mode;
  parts.modes.parentElement.classList.toggle("single", view.mode === "single");
  root.setAttribute("aria-label", data.description);
  for (const button of parts.modes.children) button.setAttribute("aria-pressed", String(button.dataset.mode === view.mode));
  const overlays = overlaysOf(data);
  const choices = [{ key: "", label: "no overlay" }, ...overlays.map(({ key, label }) => ({ key, label }))];
  for (const side of SIDES) {
    fillSelect(parts[`${side}-image`], data.images.map(({ key, label }) => ({ key, label })), view[side].image);
    fillSelect(parts[`${side}-overlay`], choices, view[side].overlay ?? "");
  }
  parts.opacity.value = Math.round(view.opacity * 100);
  parts["opacity-value"].textContent = `${Math.round(view.opacity * 100)} %`;
  parts.outline.setAttribute("aria-pressed", String(view.outline));
  parts.polygons.hidden = data.objects.length === 0;
  parts.polygons.setAttribute("aria-pressed", String(view.polygons));
  parts.zoom.textContent = `${Math.round(viewer.camera.zoom * 100)} %`;
  parts.frame.classList.toggle("zoomed", viewer.camera.zoom > 1);
  const shown = sidesOf(view).map((side) => overlays.find(({ key }) => key === view[side].overlay)).filter(Boolean);
  const groups = [...legendGroups(shown, data, view.hidden, viewer.painter), ...kindGroups(viewer)];
  showLegend(parts.legend, groups, (id) => viewer.toggle(id));
  showProblems(parts.problem, parts["problem-list"], [...viewer.problems, ...objectProblems(viewer)]);
  showFlicker(viewer);
  showTags(viewer, overlays);
  showCursor(viewer);
}

function showFlicker({ parts, view, flicker }) {
  parts.turns.hidden = view.mode !== "flicker";
  const words = flicker.isPlaying ? "Stop" : "Start";
  if (parts.play.textContent !== words) parts.play.textContent = words;
  parts.speed.value = view.speed;
  parts["speed-value"].textContent = `${view.speed} / s`;
}

function showTags(viewer, overlays) {
  const { parts, data, view } = viewer;
  const text = (side) => {
    const image = data.images.find(({ key }) => key === view[side].image)?.label ?? "";
    const overlay = overlays.find(({ key }) => key === view[side].overlay)?.label;
    return overlay ? `${image} + ${overlay}` : image;
  };
  for (const side of SIDES) parts[`${side}-tag`].textContent = text(side);
  const [, second] = viewer.panes();
  parts["right-tag"].style.left = second ? `${second.x}px` : "";
  parts["right-tag"].style.top = second ? `${second.y}px` : "";
  const isFlicker = view.mode === "flicker";
  parts["left-tag"].hidden = isFlicker && viewer.flicker.isSecond;
  parts["right-tag"].hidden = view.mode === "single" || (isFlicker && !viewer.flicker.isSecond);
  const percent = Math.round(viewer.divider * 100);
  parts.divider.hidden = view.mode !== "swipe";
  parts.divider.style.left = `${viewer.divider * 100}%`;
  parts.divider.setAttribute("aria-valuenow", String(percent));
  parts.divider.setAttribute("aria-valuetext", `${percent} % ${text("left")}`);
  const names = sidesOf(view).map(text).join(", ");
  viewer.canvas.setAttribute("aria-label", `${data.description}: ${names}. Press ? for keys.`);
}

function showCursor(viewer) {
  const { parts, data } = viewer;
  const reference = viewer.reference();
  const place = reference && viewer.cursor;
  const pixel = place && { x: Math.floor(place.u * reference.width), y: Math.floor(place.v * reference.height) };
  showReadout(parts.readout, pixel, valuesAt(place, data, viewer.pictures));
  const name = viewer.hovered?.name ?? viewer.picked;
  showObject(parts.object, viewer.view.polygons ? name : null, objectFacts(viewer, name), kindColors(data));
}

/** Returns what each image says of an object: [{label, kind, area}], in order of time. */
function objectFacts({ data, objects, view }, name) {
  if (name === null || !view.polygons) return [];
  return data.images.flatMap(({ key, label }) => {
    const source = data.objects.find(({ image }) => image === key);
    const found = source && objects.at(source.url).objects.filter((each) => each.name === name);
    return (found ?? []).map(({ kind, area }) => ({ label, kind, area }));
  });
}

/** Returns the legend of the objects on view. */
function kindGroups(viewer) {
  const entries = sidesOf(viewer.view).map((side) => viewer.objectsOf(side)).filter(Boolean);
  const present = new Set(entries.flatMap(({ kinds }) => [...kinds.keys()]));
  if (!present.size) return [];
  const colors = kindColors(viewer.data);
  const items = [...present].sort((one, other) => order(colors, one) - order(colors, other)).map((kind) => ({
    id: kindId(kind),
    name: kind,
    color: colors.get(kind) ?? OTHER_KIND,
    on: !viewer.view.hidden.has(kindId(kind)),
  }));
  return [{ name: "Polygons", items }];
}

const order = (colors, kind) => [...colors.keys()].indexOf(kind);

function kindColors(data) {
  return new Map(data.kinds.map(({ name, color }) => [name, color]));
}

function objectProblems(viewer) {
  const problems = sidesOf(viewer.view).map((side) => viewer.objectsOf(side)?.problem);
  return [...new Set(problems.filter(Boolean))].map((reason) => ({ label: "The polygons", reason }));
}
