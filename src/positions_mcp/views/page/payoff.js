// What the options on one underlying come to at expiration, worked out from the rows of this answer alone. Where the
// terms of one contract do not follow from them nothing is drawn: half a payoff is a wrong one.
const money = (value) => (Math.round(value * 100) / 100 || 0).toFixed(2);

// Why a contract cannot be drawn; empty where it delivers 100 shares and its own value says so.
function doubtOf({ contract, quantity, price, market_value: value }) {
  if (!contract.plain) return "adjusted, or one of several of that symbol: what it delivers is not known";
  const [held, each, whole] = [quantity, price, value].map(numberOf);
  if (!held || !each || !whole) return "no quantity, price or value to check its multiplier by";
  const isOff = Math.abs(whole - held * each * 100) > Math.abs(held) / 2 + Math.abs(whole) / 200;
  return isOff ? "its value is not 100 times its price: multiplier not known" : "";
}

function payoffOf(rows, stock) {
  const { on, expires } = rows[0].contract;
  const doubts = rows.map((row) => [row.symbol, doubtOf(row)]).filter(([, doubt]) => doubt);
  if (doubts.length) return [h("p", `Not drawn for ${on} ${expires}:`), facts(doubts.slice(0, MOST)), more(doubts)];
  const isProfit = [...rows, stock].every((row) => !row || numberOf(row.cost_basis) !== null);
  const cost = (row) => (isProfit ? Number(row.cost_basis) : 0);
  const worth = ({ contract: { sign, strike }, quantity }, at) => quantity * 100 * Math.max(0, sign * (at - strike));
  const options = (at) => rows.reduce((sum, row) => sum + worth(row, at) - cost(row), 0);
  const both = (at) => options(at) + stock.quantity * at - cost(stock);
  const lines = numberOf(stock?.quantity) ? [options, both] : [options];

  const price = numberOf(stock?.price ?? rows[0].underlying_price);
  const strikes = [...new Set(rows.map(({ contract }) => contract.strike))].sort((a, b) => a - b);
  const near = price === null ? strikes : [...strikes, price];
  const from = Math.floor(Math.min(...near) * 0.8);
  let to = Math.ceil(Math.max(...near) * 1.2) || 1;
  const slope = options(to + 1) - options(to);
  const last = to - options(to) / slope;
  if (isProfit && last > to && last < 3 * to) to = Math.ceil(last * 1.05);
  const bends = [from, ...strikes, to];
  // Between two bends a line is straight: where it changes sign it breaks even.
  const evens = [0, ...bends].flatMap((left, place) => {
    const right = bends[place];
    const [a, b] = [options(left), options(right)];
    return isProfit && a * b < 0 ? [left + ((right - left) * a) / (a - b)] : [];
  });
  const figures = [0, ...bends, ...evens].sort((a, b) => a - b);

  const values = [0, ...lines.flatMap((line) => bends.map(line))];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const x = (at) => ((at - from) / (to - from)) * 100;
  const y = (value) => 100 - ((value - low) / (high - low || 1)) * 100;
  const upright = (at, kind) => set(h(`line${kind}`), { x1: x(at), x2: x(at), y2: 100 });
  const points = (line) => bends.map((at) => `${x(at)},${y(line(at))}`).join(" ");
  const picture = set(h("svg", strikes.map((at) => upright(at, ".mark")), price === null ? null : upright(price, ""),
    set(h("line"), { x2: 100, y1: y(0), y2: y(0) }), lines.map((line) => set(h("polyline"), { points: points(line) }))),
  { viewBox: "0 0 100 100", preserveAspectRatio: "none" });
  const ends = (...texts) => h("div.ends", texts.map((text) => h("span", text)));
  const what = isProfit ? "Profit or loss" : "Worth";
  return [
    faint(`${what} at expiration, before fees, worked out here: solid for the options alone`
      + `${lines[1] ? `, dashed with ${stock.quantity} ${on}` : ""}.`
      + `${isProfit ? "" : " The cost is not in this answer: detail=full may have it."}`),
    set(h("div.plot", ends(money(high)), picture, ends(money(low)), ends(`${on} at ${from}`, to)),
      { role: "img", "aria-label": `${what} of ${on} ${expires} by its price: the figures are below` }),
    h("details", h("summary", "Figures of the diagram"),
      table(what, [on, "Options", "With shares"].slice(0, 1 + lines.length),
        figures.map((at) => [at, ...lines.map((line) => line(at))].map(money))),
      faint(`Each dollar above ${to} changes the options by ${money(slope)}.`)),
  ];
}

// One diagram at a time, chosen by underlying and day.
function payoffs(rows, stocks) {
  const groups = Map.groupBy(rows, ({ contract: { on, expires } }) => `${on} ${expires}`);
  const place = h("div");
  const choice = h("select", [...groups.keys()].map((key) => h("option", key)));
  const draw = () => {
    const legs = groups.get(choice.value);
    place.replaceChildren(...payoffOf(legs, stocks.get(legs[0].contract.on)).filter(Boolean));
  };
  choice.addEventListener("change", draw);
  draw();
  return [h("label", "Options on ", choice), place];
}
