// What an answer says: rows under column names, numbers only where a text is one, contracts by their symbols.
const MOST = 30;

const shown = (text) => (text.length > 2000 ? `${text.slice(0, 2000)}…` : text);
const words = (name) => name.replaceAll("_", " ").replace("pnl", "P&L").replace("pct", "%");
const rowsOf = (columns, rows) => rows.map((cells) => Object.fromEntries(columns.map((name, at) => [name, cells[at]])));

// For drawing only: what is printed is the text itself. An empty text is not zero.
const numberOf = (text) => (/^-?\d+(\.\d+)?$/.test(text) ? Number(text) : null);

// `5` and `3 to 8` by their ends; null for everything else.
function spanOf(text) {
  const ends = String(text).split(" to ").map(numberOf);
  return ends.length > 2 || ends.includes(null) ? null : [Math.min(...ends), Math.max(...ends)];
}

// An option by its OSI symbol. A digit before or behind the root marks one that delivers something else than 100
// shares, an id behind the symbol that several contracts go by it: such a one is not `plain`.
function contractOf(name) {
  const found = /^(\d?[A-Z][A-Z0-9./]{0,5}?)(\d\d)(\d\d)(\d\d)([CP])(\d{8})( \[.*)?$/.exec(name);
  if (!found) return null;
  const [, root, year, month, day, right, strike, several] = found;
  const expires = `20${year}-${month}-${day}`;
  if (!new Date(expires).toJSON()?.startsWith(expires)) return null;
  return {
    on: root.replace(/^\d|[./]|\d+$/g, ""), expires, sign: right === "C" ? 1 : -1, strike: strike / 1000,
    plain: !several && !/^\d|\d$/.test(root),
  };
}

// Options stand with the stock that their root names; a name that is no plain symbol stands alone.
const underlyingOf = (name) =>
  contractOf(name)?.on ?? (/^[A-Z0-9]+([./ -][A-Z0-9]+)*$/.test(name) ? name.replace(/[^A-Z0-9]/g, "") : name);

// The desk's page of this plan: on this machine, and nowhere else.
const PAGE = /http:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d+)?\/op\/op-[0-9a-z-]+/g;
const pageOf = ({ next, plan_id: id }) => next.match(PAGE)?.findLast((page) => page.endsWith(`/op/${id}`));
