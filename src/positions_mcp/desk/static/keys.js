// The keyboard: j and k move, Enter opens, a and r decide, q goes back, ? helps.

const content = document.getElementById("content");
const help = document.getElementById("help");
let selected = null;

export const isSelected = (id) => id === selected;

const items = () => [...content.querySelectorAll("[data-id]")];

function move(by) {
  const all = items();
  const place = all.findIndex((each) => each.dataset.id === selected);
  const next = all[Math.min(Math.max(place + by, 0), all.length - 1)];
  if (!next) return;
  selected = next.dataset.id;
  for (const each of all) each.classList.toggle("selected", each === next);
  next.querySelector("a").focus();
}

// Draws what is listed anew without taking the keyboard from who uses it.
export function keepingFocus(draw) {
  const focused = content.contains(document.activeElement) ? document.activeElement : null;
  const item = focused?.closest("[data-id]")?.dataset.id;
  const id = focused?.id;
  draw();
  if (!focused || content.contains(focused)) return;
  const again = item ? items().find((each) => each.dataset.id === item)?.querySelector("a") : id && document.getElementById(id);
  if (again) again.focus({ preventScroll: true });
}

export function listenToKeys(go) {
  const open = () => { if (selected && items().length) go(`/op/${selected}`); };
  const to = (selector) => {
    const field = content.querySelector(selector);
    if (field) field.focus();
    else open();
  };
  const actions = {
    j: () => move(1), k: () => move(-1), a: () => to("#approve-passphrase"), r: () => to("#note"),
    q: () => go("/"), "?": () => help.showModal(),
  };
  document.getElementById("help-open").addEventListener("click", () => help.showModal());
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || content.hidden) return;
    if (event.target.closest?.("input, textarea, select, dialog[open]")) return;
    const action = event.key === "Enter" && event.target === document.body ? open : actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}
