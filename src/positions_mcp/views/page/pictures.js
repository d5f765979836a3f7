// Elements, and the pictures that are made of them. Text goes in as text: nothing of an answer is read as markup.
function h(name, ...children) {
  const [tag, kind] = name.split(".");
  const element = /^(svg|rect|line|polyline)$/.test(tag)
    ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  if (kind) element.setAttribute("class", kind);
  for (const child of children.flat(2)) {
    if (child instanceof Node) element.append(child);
    else if ((child ?? false) !== false) element.append(shown(String(child)));
  }
  return element;
}

function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

const faint = (text) => h("p.faint", text);
const section = (title, ...children) => h("section", h("h2", title), ...children);
const more = (items) => (items.length > MOST ? faint(`and ${items.length - MOST} more, in the answer's text`) : null);
const list = (title, lines) =>
  lines?.length ? section(title, h("ul", lines.slice(0, MOST).map((line) => h("li", line))), more(lines)) : null;
const fact = ([name, value]) => [h("dt", words(name)), h("dd", String(value))];
const facts = (pairs) => h("dl", pairs.filter(([, value]) => value !== undefined).map(fact));
const pick = (data, names) => facts(names.split(" ").map((name) => [name, data[name]]));

const table = (title, heads, rows) => h("table", h("caption", title),
  h("thead", h("tr", heads.map((head) => set(h("th", head), { scope: "col" })))),
  h("tbody", rows.map(([name, ...cells]) =>
    h("tr", set(h("th", name), { scope: "row" }), cells.map((cell) => h("td", cell))))));

// A picture that is its own table: rows of a name, what the answer says, and where that is known the two ends of a bar.
// Of too many rows those with the longest bars are drawn. What may lie anywhere between two ends is drawn paler.
function bars(title, heads, rows, open = "open") {
  if (!rows.length) return null;
  const length = ([, , ends]) => (ends ? Math.max(...ends.map(Math.abs)) : -1);
  const drawn = rows.length > MOST ? rows.toSorted((a, b) => length(b) - length(a)).slice(0, MOST) : rows;
  const all = drawn.flatMap(([, , ends]) => ends ?? []);
  const low = Math.min(0, ...all);
  const scale = 100 / (Math.max(0, ...all) - low || 1);
  const bar = (from, to, kind) => (to > from ? set(h(`rect.${to > 0 ? "up" : "down"} ${kind}`),
    { x: (from - low) * scale, width: (to - from) * scale, y: 2, height: 6 }) : null);
  const picture = ([least, most]) => {
    const sure = Math.max(least, Math.min(0, most));
    const zero = set(h("line"), { x1: -low * scale, x2: -low * scale, y2: 10 });
    const parts = [bar(Math.min(0, sure), Math.max(0, sure), ""), bar(least, sure, open), bar(sure, most, open), zero];
    return set(h("svg", parts), { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": true });
  };
  const cells = drawn.map(([name, text, ends]) => [name, ends ? picture(ends) : "", text]);
  return h("section", table(title, [heads[0], "Bar", heads[1]], cells), more(rows));
}
