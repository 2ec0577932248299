// Presses buttons of the page by keys. A key that something else on the page has a use for is left to it.

const NAMES = { ArrowLeft: "←", ArrowRight: "→", Escape: "Esc" };
const WRITING = "input:not([type=range]):not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable=true]";
const MOVING = `${WRITING}, input, [role=slider], [role=tab], [role=radio], [role=listbox], [role=option], [data-testid=stDataFrame]`;

function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function isWanted(event) {
  const others = event.key.startsWith("Arrow") ? MOVING : WRITING;
  return event.composedPath().some((node) => node instanceof Element && node.matches(others));
}

function press(bindings, event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isWanted(event)) return;
  const pressed = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const binding = bindings.find(({ keys }) => keys.includes(pressed));
  const button = binding && document.querySelector(`.st-key-${binding.button} button`);
  if (!button || button.disabled) return;
  event.preventDefault();
  button.click();
}

const mounted = new WeakMap();

export default function show({ data, parentElement }) {
  let mount = mounted.get(parentElement);
  if (!mount) {
    mount = { closing: new AbortController() };
    mounted.set(parentElement, mount);
    document.addEventListener("keydown", (event) => press(mount.bindings, event), { signal: mount.closing.signal });
  }
  mount.bindings = data.bindings;
  parentElement.querySelector('[data-part="legend"]').replaceChildren(
    ...data.bindings.map(({ keys, label }) => {
      const binding = element("span", "binding");
      binding.append(...keys.map((key) => element("kbd", "", NAMES[key] ?? key)), label);
      return binding;
    }),
  );
  return () => {
    // Streamlit also calls this for a run that a later one overtook, while the legend is still on the page.
    setTimeout(() => {
      if (parentElement.isConnected || mounted.get(parentElement) !== mount) return;
      mounted.delete(parentElement);
      mount.closing.abort();
    });
  };
}
