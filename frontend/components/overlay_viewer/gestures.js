// Pointer, wheel and keyboard. They call the viewer's verbs and know nothing of pictures.

const SCROLL_PAUSE_MS = 250;
const CLICK_PIXELS = 4;

function bindPointer(viewer, canvas) {
  const pointers = new Map();
  let pressed = null;
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, at(event));
    pressed = pointers.size === 1 ? at(event) : null;
    canvas.classList.add("dragging");
  });
  canvas.addEventListener("pointermove", (event) => {
    const now = at(event);
    const before = pointers.get(event.pointerId);
    if (before && pointers.size === 1) viewer.pan(now.x - before.x, now.y - before.y);
    if (before && pointers.size === 2) {
      const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
      const spread = (place) => Math.max(Math.hypot(place.x - other.x, place.y - other.y), 1);
      viewer.zoomAt(spread(now) / spread(before), (now.x + other.x) / 2, (now.y + other.y) / 2);
      viewer.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
    }
    if (before) pointers.set(event.pointerId, now);
    viewer.point(now);
  });
  const end = (event) => {
    pointers.delete(event.pointerId);
    if (pointers.size === 0) canvas.classList.remove("dragging");
    if (event.pointerType !== "mouse") viewer.point(null);
  };
  canvas.addEventListener("pointerup", (event) => {
    const now = at(event);
    const isClick = pressed && Math.hypot(now.x - pressed.x, now.y - pressed.y) < CLICK_PIXELS;
    end(event);
    if (isClick) viewer.pick(now);
  });
  canvas.addEventListener("pointercancel", end);
  canvas.addEventListener("pointerleave", () => viewer.point(null));
  canvas.addEventListener("dblclick", () => viewer.reset());
}

/** The wheel zooms, but a scroll that began elsewhere goes on over the picture, and at zoom 1 scrolling out leaves it. */
function bindWheel(viewer, frame, signal) {
  let scrolledAt = 0;
  const isInside = (event) => event.composedPath().includes(frame);
  window.addEventListener(
    "wheel",
    (event) => {
      if (!isInside(event)) scrolledAt = event.timeStamp;
    },
    { passive: true, capture: true, signal },
  );
  frame.addEventListener(
    "wheel",
    (event) => {
      const isMeant = event.ctrlKey || event.metaKey;
      const isScroll = event.timeStamp - scrolledAt < SCROLL_PAUSE_MS;
      if (!isMeant && (isScroll || (event.deltaY > 0 && viewer.camera.zoom <= 1))) {
        scrolledAt = event.timeStamp;
        return;
      }
      event.preventDefault();
      const box = frame.getBoundingClientRect();
      const pixels = event.deltaMode === 1 ? event.deltaY * 33 : event.deltaY;
      const step = Math.max(-240, Math.min(240, pixels));
      viewer.zoomAt(Math.exp(-step * (event.ctrlKey ? 0.01 : 0.0022)), event.clientX - box.left, event.clientY - box.top);
    },
    { passive: false },
  );
}

function bindDivider(viewer, divider, frame) {
  divider.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    divider.setPointerCapture(event.pointerId);
    divider.focus({ preventScroll: true });
    event.preventDefault();
  });
  divider.addEventListener("pointermove", (event) => {
    if (!divider.hasPointerCapture(event.pointerId)) return;
    const box = frame.getBoundingClientRect();
    viewer.divide((event.clientX - box.left) / box.width);
  });
  divider.addEventListener("dblclick", () => viewer.divide(0.5));
  divider.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 0.1 : 0.02;
    const target = { ArrowLeft: viewer.divider - step, ArrowRight: viewer.divider + step, Home: 0, End: 1 }[event.key];
    if (target === undefined) return;
    viewer.divide(target);
    event.preventDefault();
    event.stopPropagation();
  });
}

function bindKeys(viewer, root) {
  const move = 48;
  const verbs = {
    ArrowLeft: () => viewer.move(move, 0),
    ArrowRight: () => viewer.move(-move, 0),
    ArrowUp: () => viewer.move(0, move),
    ArrowDown: () => viewer.move(0, -move),
    "+": () => viewer.zoomBy(1.25),
    "=": () => viewer.zoomBy(1.25),
    "-": () => viewer.zoomBy(0.8),
    "[": () => viewer.setOpacity(viewer.view.opacity - 0.1),
    "]": () => viewer.setOpacity(viewer.view.opacity + 0.1),
    0: () => viewer.reset(),
    t: () => viewer.toggleFlicker(),
    x: () => viewer.flip(),
    p: () => viewer.togglePolygons(),
    s: () => viewer.setMode(viewer.view.mode === "swipe" ? "side_by_side" : "swipe"),
    b: () => viewer.next("image"),
    o: () => viewer.next("overlay"),
    l: () => viewer.toggleOutline(),
    w: () => viewer.toggleFullscreen(),
    "?": () => viewer.toggleHelp(),
    " ": () => viewer.setBare(true),
  };
  for (let number = 1; number <= 9; number++) verbs[number] = () => viewer.toggleNumber(number);

  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const origin = event.composedPath()[0];
    const isControl = origin.matches?.("select, input, button");
    if (isControl && (event.key.startsWith("Arrow") || event.key === " " || origin.matches("select"))) return;
    // There is nothing to move sideways while all is in view, so the page may have these keys.
    if (viewer.camera.zoom <= 1 && ["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    const verb = verbs[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!verb) return;
    verb();
    // Streamlit has keys of its own on the document.
    event.preventDefault();
    event.stopPropagation();
  });
  root.addEventListener("keyup", (event) => {
    if (event.key === " ") viewer.setBare(false);
  });
  root.addEventListener("focusout", () => viewer.setBare(false));
}
