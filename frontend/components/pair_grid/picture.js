// A small picture with its label, and over it a change map where there is one.

function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

/** Returns the picture; `changes` are the classes of a change map with their colours. */
function picture({ url, label, overlay }, changes) {
  const frame = element("span", "image");
  const image = element("img");
  const showMissing = () => {
    image.remove();
    frame.prepend(element("span", "missing", "could not be loaded"));
  };
  image.alt = label;
  image.loading = "lazy";
  image.decoding = "async";
  image.draggable = false;
  image.addEventListener("load", () => {
    image.classList.toggle("small", image.naturalWidth * 2 <= frame.clientWidth * devicePixelRatio);
    if (overlay) overlayOn(frame, overlay, changes);
  });
  image.addEventListener("error", showMissing);
  frame.append(image, element("span", "image-label", label));
  if (isOwnPath(url)) image.src = url;
  else showMissing();
  return frame;
}

/** Lays a change map over a picture; without it the label says that it is missing. */
async function overlayOn(frame, url, changes) {
  const label = frame.querySelector(".image-label");
  try {
    const bitmap = await fetchBitmap(url, new AbortController().signal);
    const table = lookupTable(new Map(changes.map(({ index, color }) => [index, color])), { unlisted: false });
    const canvas = paint(indicesOf(bitmap), bitmap.width, bitmap.height, table);
    bitmap.close();
    canvas.className = "overlay";
    frame.insertBefore(canvas, label);
  } catch {
    label.textContent += " · no change map";
  }
}
