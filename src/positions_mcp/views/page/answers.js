// Which pictures the answer of each tool has, and what is drawn when the host passes one on.
const head = (data, what) => [
  h("h1", badge(data), ` ${what}, account ${data.account_id ?? "all"}`),
  data.as_of && faint(`Read ${data.as_of}. Market ${data.market}.`),
  (data.warnings ?? []).map((warning) => h("p.warning", `Warning: ${warning}`)),
  data.missing && [faint("Missing, not zero:"), facts(Object.entries(data.missing))],
];

const badge = ({ mode = "mode not said" }) =>
  h(mode === "PAPER" ? "span.mode" : "span.mode live", mode === "LIVE" ? "LIVE, real money" : mode);
const joined = (...texts) => texts.filter(Boolean).join(" · ");

const profit = (title, rows, name, column) =>
  bars(title, ["Name", "Dollars"], rows.map((row) => [row[name], row[column], spanOf(row[column])]));
const profits = (rows, name) => [
  profit("Profit and loss of the day", rows, name, "day_pnl"),
  profit("Unrealized profit and loss", rows, name, "unrealized_pnl"),
];

// What lies above and below zero in a column, by a key, as bars to both sides. `say` words the two sums.
function sides(title, heads, rows, keyOf, column, say) {
  return bars(title, heads, [...Map.groupBy(rows, keyOf)].map(([name, group]) => {
    const known = group.map((row) => numberOf(row[column])).filter((value) => value !== null);
    if (!known.length) return [name, "not known"];
    const sum = (side) => known.reduce((total, value) => total + (value * side > 0 ? value : 0), 0);
    const lacks = group.length - known.length;
    return [name, say(sum(1), sum(-1)) + (lacks ? `, ${lacks} not known` : ""), [sum(-1), sum(1)]];
  }), "");
}

function positions(data) {
  const rows = rowsOf(data.columns, data.rows).map((row) => ({ ...row, contract: contractOf(row.symbol) }));
  const top = [head(data, "Positions"), facts(Object.entries(data.totals))];
  if (data.columns[0] === "account") return [top, profits(rows, "account")];
  const others = rows.length < data.held && "Positions that are not in this answer are in no picture.";
  const isUnread = (row) => !row.contract && (row.type === "OPTION" || /^[0-9a-f]{8}-/.test(row.symbol));
  const stocks = rows.filter((row) => !row.contract && !isUnread(row)).map((row) => [underlyingOf(row.symbol), row]);
  const options = rows.filter((row) => row.contract).sort((a, b) => (a.contract.expires < b.contract.expires ? -1 : 1));
  return [[top, faint(joined(`${rows.length} of ${data.held} positions`, data.filter, others))], [
    profits(rows, "symbol"),
    sides("Exposure: long to the right, short to the left", ["Underlying", "Net, worked out"],
      rows, (row) => underlyingOf(row.symbol), "market_value", (long, short) => money(long + short)),
    sides("Contracts by expiration", ["Expires", "Contracts"],
      options, (row) => row.contract.expires, "quantity", (long, short) => `${long} long, ${-short} short`),
    options.length && section("Payoff at expiration", payoffs(options, new Map(stocks)), others && faint(others)),
    list("Cannot be read as contracts", rows.filter(isUnread).map((row) => row.symbol)),
  ]];
}

function summary({ group_columns: columns, expiring: soon, exposure, ...data }) {
  const [by] = columns;
  const rows = rowsOf(columns, data.groups);
  const net = (row) => [row[by], joined(row.net, `${row.gross_pct} %`), spanOf(row.net)];
  const expiring = ({ symbol, quantity, ...row }) =>
    [symbol, joined(quantity, row.moneyness, row.distance, row.if_nothing_sent, row.instructed), spanOf(quantity)];
  return [[head(data, "Summary"), facts([["positions", data.positions], ...Object.entries(data.totals)])], [
    profits(rows, by),
    bars(`Net exposure by ${words(by)}`, [words(by), "Net · of gross"], rows.map(net)),
    exposure && section("Exposure beside market value", facts(Object.entries(exposure))),
    soon && section(`Options expiring ${soon.first_day} to ${soon.last_day}`, facts(Object.entries(soon.counts)),
      pick(soon, "cutoff"), (soon.evening ?? []).map((line) => h("p", line))),
    soon && bars("Expiring first", ["Contract", "Held · if nothing is sent"],
      rowsOf(soon.columns, soon.rows).map(expiring)),
  ]];
}

function evening(data) {
  const places = rowsOf(data.underlying_columns, data.underlyings);
  const prices = new Map(places.map((row) => [underlyingOf(row.underlying), numberOf(row.price)]));
  const strike = ({ symbol, quantity, ...outcomes }) => {
    const contract = contractOf(symbol);
    const price = contract?.plain && prices.get(contract.on);
    const inside = price ? (contract.sign * (price - contract.strike) * 100) / price : null;
    const said = Object.entries(outcomes).filter(([, count]) => count !== "0");
    const outcome = said.map(([name, count]) => `${words(name)} ${count || "not known"}`);
    return inside === null
      ? [`${symbol} × ${quantity}`, joined("distance not known", ...outcome)]
      : [`${symbol} × ${quantity}`, joined(`${money(inside)} %`, ...outcome), [inside, inside]];
  };
  const cash = (row) => [`${row.underlying} ${row.price || "price not known"}, ${row.closes}`,
    joined(row.cash, `${row.shares_before} → ${row.shares_after}`), spanOf(row.cash)];
  return [[head(data, "Expiration evening"),
    pick({ day: "no option is held", ...data }, "day until prices_from cash settles buying_power left_out")], [
    bars("Strikes by how far they are in the money", ["Contract", "Of price · outcome"],
      rowsOf(data.option_columns, data.options).map(strike)),
    bars("Cash of the evening", ["Underlying", "Cash · shares"], places.map(cash)),
    list("Watch", data.watch), list("Not known", data.not_known),
  ]];
}

function plan(data) {
  const page = pageOf(data);
  const open = page && h("button", "Open the supervisor's page");
  open?.addEventListener("click", () =>
    openPage(page).catch(() => say("The host did not open the page. Its address is on the card.")));
  const order = ({ held, available, ...row }) => {
    const text = row.value ?? row.notional ?? row.problems;
    const part = held && held.replace("-", "") !== row.quantity && `held ${held}, free ${available}`;
    const name = [row.row, row.side ?? row.type, row.quantity, row.symbol ?? row.instrument];
    return [name.filter(Boolean).join(" "), joined(text, part), spanOf(text)];
  };
  return [[head(data, data.plan_id ? `Plan ${data.plan_id}` : "No plan"), h("p", data.summary)], [
    section("The plan", pick({ ...data, expires_at: data.valid_until }, "filter net sells buys without_value notional "
      + "options cancel_orders session cutoff policy expires_at rows_left_out next"),
    faint("This card decides and sends nothing, and does not follow the plan: get_operation says how it stands."),
    open && h("p", open, ` ${page}`)),
    bars("Rows", ["Row", "Dollars"], rowsOf(data.columns, data.rows).map(order)),
    list("Findings", data.findings), list("Consequences", data.consequences), list("The evening", data.projection),
  ]];
}

const DRAWN = { group_columns: summary, underlying_columns: evening, held: positions, next: plan };

const say = (text) => { document.querySelector("#said").textContent = text; };

function show({ isError, structuredContent: data }) {
  const place = document.querySelector("#answer");
  const known = Object.keys(DRAWN).find((name) => data && Object.hasOwn(data, name));
  place.replaceChildren(h("h1", "Positions"));
  say("There is nothing to draw: the answer's text has everything.");
  if (isError || !known) return;
  const [top, pictures] = DRAWN[known](data);
  const kept = (parts) => parts.flat(9).filter((part) => part instanceof Node);
  place.replaceChildren(...kept(top), h("div.pictures", kept(pictures)));
  say("");
}

const look = ({ theme } = {}) => { if (theme) document.documentElement.dataset.theme = theme; };

meetHost({
  "ui/notifications/tool-result": show,
  "ui/notifications/tool-cancelled": () => say("The call was cancelled: there is nothing to draw."),
  "ui/notifications/host-context-changed": look,
}).then(({ hostContext }) => look(hostContext), () => say("The host did not open this view."));
