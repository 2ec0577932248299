// Cards of pairs. Names come from data and reach the page as text only; images come from this server only.

function card(pair, changes, open) {
  const node = element(open ? "button" : "div", "card");
  if (open) {
    node.type = "button";
    node.addEventListener("click", () => open(pair.key));
  }
  node.dataset.key = pair.key;
  const images = element("span", "images");
  images.style.setProperty("--images", pair.images.length);
  images.append(...pair.images.map((image) => picture(image, changes)));
  const title = element("span", "title", pair.title);
  title.title = pair.title;
  node.append(images, title);
  if (pair.subtitle) node.append(element("span", "subtitle", pair.subtitle));
  if (pair.badges.length) {
    const badges = element("span", "badges");
    badges.append(...pair.badges.map(({ text, tone }) => element("span", `badge ${tone}`, text)));
    node.append(badges);
  }
  return node;
}

/** Moves the focus between cards by arrows, Home and End. */
function moveFocus(event, grid) {
  const cards = [...grid.querySelectorAll("button.card")];
  const here = cards.indexOf(event.target);
  if (here < 0) return;
  const top = cards[0].getBoundingClientRect().top;
  const columns = cards.filter((each) => Math.abs(each.getBoundingClientRect().top - top) < 2).length;
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -here, End: cards.length - 1 - here };
  const target = cards[here + step[event.key]];
  if (!target) return;
  target.focus();
  event.preventDefault();
  event.stopPropagation();
}

const shown = new WeakMap();

export default function show({ data, parentElement, setTriggerValue }) {
  const grid = parentElement.querySelector('[data-part="grid"]');
  let state = shown.get(parentElement);
  const isKnown = state !== undefined;
  if (!state) {
    state = { cards: new Map(), focused: null };
    shown.set(parentElement, state);
    grid.addEventListener("keydown", (event) => moveFocus(event, grid));
  }
  state.send = (key) => setTriggerValue("clicked", key);
  const open = data.clickable ? (key) => state.send(key) : null;
  grid.setAttribute("aria-label", data.description);
  grid.style.setProperty("--columns-min", `${data.columns_min_px}px`);

  // A card that says the same as before stays as it is, so that its images do not flicker and focus is kept.
  const cards = new Map();
  for (const pair of data.pairs) {
    const signature = JSON.stringify([pair, data.clickable]);
    const known = state.cards.get(pair.key);
    if (known?.signature === signature) {
      cards.set(pair.key, known);
      continue;
    }
    const item = element("div");
    item.setAttribute("role", "listitem");
    item.append(card(pair, data.changes, open));
    cards.set(pair.key, { signature, item });
  }
  state.cards = cards;
  const items = [...cards.values()].map(({ item }) => item);
  const isSame = items.length === grid.children.length && items.every((item, place) => grid.children[place] === item);
  if (!isSame) grid.replaceChildren(...items);
  if (data.focus !== state.focused) {
    state.focused = data.focus;
    takeFocus(cards.get(data.focus)?.item);
  } else if (!isSame && isKnown && grid.getBoundingClientRect().top < 0) {
    grid.scrollIntoView({ block: "start" }); // another page of the list begins at its top
  }
}

/** Gives a card the focus and brings it into view; waits until the page has its height. */
function takeFocus(item) {
  if (!item) return;
  requestAnimationFrame(() => {
    item.querySelector("button.card")?.focus({ preventScroll: true });
    const { top, bottom } = item.getBoundingClientRect();
    if (top < 0 || bottom > innerHeight) item.scrollIntoView({ block: "center" });
  });
}
