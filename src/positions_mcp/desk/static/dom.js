// Elements from data. Text is only ever set as text: nothing that comes from outside is read as markup.

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (value === true) element.setAttribute(name, "");
    else element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// Text of the broker, an agent or a host: isolated, so that its direction cannot spill over.
export const foreign = (text) => h("bdi", {}, String(text ?? ""));

const CLOCK = new Intl.DateTimeFormat("en-US", {
  timeZone: "America/New_York", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});
const DAY = new Intl.DateTimeFormat("en-CA", { timeZone: "America/New_York" });

// The desk's clock counts: a browser's own may be wrong by hours.
let offset = 0;
const now = () => Date.now() + offset;
export const setClock = (iso) => { offset = new Date(iso) - Date.now(); };
export const today = () => DAY.format(now());

// Of the hour that New York's clocks show twice in autumn also which one it is.
const ZONE = new Intl.DateTimeFormat("en-US", { timeZone: "America/New_York", timeZoneName: "short" });
function place(at, clock) {
  if (![-36e5, 36e5].some((hour) => CLOCK.format(+at + hour) === clock)) return "New York";
  return `New York (${ZONE.formatToParts(at).find((part) => part.type === "timeZoneName").value})`;
}

export function instant(iso) {
  const at = new Date(iso), day = DAY.format(at), clock = CLOCK.format(at);
  return h("time", { datetime: iso, title: iso }, `${day === today() ? "" : `${day} `}${clock} ${place(at, clock)}`);
}

export const countdown = (iso) => h("span", { class: "countdown", "data-until": iso });

// Writes what is left of every countdown. Returns whether one has run out since it was last written.
export function tick() {
  let isOver = false;
  for (const element of document.querySelectorAll("[data-until]")) {
    const left = Math.ceil((new Date(element.dataset.until) - now()) / 1000);
    const text = left <= 0 ? "expired" : `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")} left`;
    isOver ||= left <= 0 && element.textContent.endsWith("left");
    if (element.textContent !== text) element.textContent = text;
    element.classList.toggle("soon", left <= 60);
  }
  return isOver;
}
