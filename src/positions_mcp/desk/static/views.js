// What each page shows. Data are drawn anew at every change; forms are made once and stay as they are typed.

import { countdown, foreign, h, instant } from "./dom.js";
import { picture } from "./requests.js";

const STATE_WORDS = {
  PLANNED: "PREVIEWED – NOT ASKED FOR YET",
  AWAITING_APPROVAL: "WAITS FOR A DECISION",
  APPROVED: "APPROVED – NOT SENT",
};

export const stateWords = (state) => STATE_WORDS[state] ?? state;

const mark = (mode) => h("strong", { class: `mark ${mode.toLowerCase()}` }, mode === "LIVE" ? "LIVE · REAL MONEY" : "PAPER");

function card(plan, selected) {
  return h("li", { class: selected ? "plan selected" : "plan", "data-id": plan.id },
    h("a", { href: `/op/${plan.id}`, "aria-current": selected ? "true" : null },
      mark(plan.mode), " ", h("span", { class: "heading" }, "account ", plan.account, ": ", foreign(plan.heading))),
    h("p", { class: "orders" }, plan.orders.map((order) => h("span", { class: "order" }, foreign(order))),
      plan.more ? h("span", { class: "order" }, `and ${plan.more} more`) : null),
    h("p", { class: "facts" },
      h("span", {}, stateWords(plan.state), plan.mandate ? ` under mandate ${plan.mandate}` : ""), h("span", {}, `notional $${plan.notional}`),
      h("span", {}, "asked for by ", foreign(plan.caller)), countdown(plan.expires_at)));
}

export function queue(data, isSelected) {
  const list = (plans) => h("ul", { class: "plans" }, plans.map((plan) => card(plan, isSelected(plan.id))));
  return [
    h("h1", {}, `Waiting for you: ${data.waiting.length}`),
    data.waiting.length ? list(data.waiting) : h("p", {}, "Nothing waits. New plans appear here by themselves."),
    data.moving.length ? h("h2", {}, "Approved and on the way") : null,
    data.moving.length ? list(data.moving) : null,
  ];
}

export function story(plan) {
  return [
    h("h1", {}, mark(plan.mode), " account ", plan.account, ": ", foreign(plan.heading)),
    h("p", { class: "state" }, h("strong", {}, stateWords(plan.state)), " ",
      plan.can_decide ? countdown(plan.expires_at) : null,
      plan.stage === "APPROVED" && plan.approved_until ? countdown(plan.approved_until) : null),
    plan.can_decide && !plan.sender_alive
      ? h("p", { class: "warning" }, "No server that could send this is alive now: an approval would lapse.") : null,
    plan.can_decide && plan.sender_silent_s
      ? h("p", { class: "warning" }, `The server that would send this was last heard of ${plan.sender_silent_s} s ago. If it has ended, an approval lapses.`) : null,
    plan.alarms.map((alarm) => h("p", { class: "warning" }, foreign(alarm))),
    plan.warnings.map((warning) => h("p", { class: "warning" }, "Warning: ", foreign(warning))),
    h("dl", { class: "about" },
      h("dt", {}, "Account"), h("dd", {}, plan.account), h("dt", {}, "Asked for by"),
      h("dd", {}, foreign(plan.caller), plan.rights ? ` with the rights ${plan.rights}` : null),
      h("dt", {}, "Purpose"), h("dd", {}, plan.purpose ? ["“", foreign(plan.purpose), "”"] : "none stated"),
      h("dt", {}, "Planned"), h("dd", {}, instant(plan.created_at), plan.policy ? ` under policy ${plan.policy}` : null)),
    plan.not_known.map((words) => h("p", { class: "warning" }, "Not known: ", foreign(words))),
    h("section", { "aria-label": "What is asked" },
      h("ol", { class: "question" }, plan.question
        .filter((line) => !line.startsWith("Warning: "))
        .map((line) => h("li", {}, foreign(line))))),
    limits(plan),
    outcome(plan),
    plan.moving ? h("p", { class: "moving" }, plan.not_followed ? foreign(plan.not_followed) : "Followed: the account is read again every second.") : null,
    h("p", {}, foreign(plan.next_step)),
    plan.reason ? h("p", {}, "Reason: ", foreign(plan.reason)) : null,
    plan.decision ? h("p", {}, "Decision: ", foreign(plan.decision)) : null,
    journal(plan),
  ];
}

function limits(plan) {
  if (!plan.can_decide) return null;
  if (!plan.limits) return h("p", {}, "Its limits are those of another mode, and not known to this page.");
  return table("Limits", ["Limit", "Used before", "This plan", "At most"], plan.limits.map((row) => h("tr", {},
    h("th", { scope: "row" }, row.name), h("td", { class: "number" }, row.used), h("td", { class: "number" }, row.plan),
    h("td", { class: "number" }, row.limit ?? "no limit"))));
}

function outcome(plan) {
  const touched = plan.rows.some((row) => row.state !== "NOT_SENT" || row.detail);
  if (!touched) return null;
  const head = ["Target", "Planned", "State", "Left", "What happened"];
  const rows = plan.rows.map((row) => h("tr", {},
    h("th", { scope: "row" }, foreign(row.symbol)), h("td", {}, foreign(row.planned)), h("td", {}, row.state),
    h("td", { class: "number" }, row.residual ?? "not read"),
    h("td", {}, foreign([row.detail, ...row.orders.map(inWords), row.resolution].filter(Boolean).join("; ")))));
  return table("What became of each target", head, rows);
}

const inWords = (order) => `order ${order.order_id}: ${order.status}, filled ${order.filled ?? "?"} of ${order.quantity ?? "?"}`;

function journal(plan) {
  const rows = plan.journal.map((entry) => h("tr", {},
    h("td", { class: "number" }, String(entry.sequence)), h("td", {}, instant(entry.at)), h("td", {}, entry.event),
    h("td", { class: "hash" }, foreign(JSON.stringify(entry.content)))));
  return h("details", {}, h("summary", {}, `Journal: ${plan.journal.length} entries`),
    table("Journal entries", ["Entry", "At", "Event", "Content"], rows));
}

// What it is about: the first instruments by name, and how many more.
const about = (plan) => [foreign(plan.heading), ": ", foreign(plan.symbols.join(", ")), plan.more ? ` and ${plan.more} more` : null];

const link = (id) => h("a", { href: `/op/${id}` }, id);

export function doubts(data) {
  if (!data.in_doubt.length) return [];
  return [h("section", { class: "warning", "aria-label": "In doubt" },
    h("h2", {}, `In doubt: ${data.in_doubt.length}`),
    h("p", {}, "Whether these took effect is not known. Look at the broker's own record, then open one and settle it there."),
    h("ul", {}, data.in_doubt.map((plan) => h("li", { "data-id": plan.id }, link(plan.id), " ", mark(plan.mode), " account ", plan.account, ": ", ...about(plan)))))];
}

export function filters(data, given, go) {
  const choice = (name, words, values) => h("p", {}, h("label", { for: `by-${name}` }, words), h("select", { id: `by-${name}`, name },
    h("option", { value: "" }, "any"), values.map((value) => h("option", { value, selected: given.get(name) === value }, value))));
  const text = (name, words, mode) => h("p", {}, h("label", { for: `by-${name}` }, words),
    h("input", { id: `by-${name}`, name, inputmode: mode, value: given.get(name) ?? "" }));
  const submit = (event) => {
    event.preventDefault();
    const wanted = new URLSearchParams([...new FormData(event.target)].filter(([, value]) => value));
    go(wanted.size ? `/history?${wanted}` : "/history");
  };
  const doubtful = h("input", { id: "by-in_doubt", name: "in_doubt", type: "checkbox", value: "1", checked: given.get("in_doubt") === "1" });
  return h("form", { id: "filters", "aria-label": "Filters", onsubmit: submit },
    choice("state", "State", data.states), choice("kind", "Kind", data.kinds),
    text("account", "Account", "numeric"), text("caller", "Agent or caller", "text"),
    h("p", {}, doubtful, h("label", { for: "by-in_doubt" }, "In doubt only")), h("button", {}, "Filter"));
}

export function history(data, search) {
  const rows = data.operations.map((plan) => h("tr", { class: plan.in_doubt ? "doubt" : null, "data-id": plan.id },
    h("td", {}, link(plan.id)), h("td", {}, mark(plan.mode), " ", plan.account),
    h("td", {}, ...about(plan)), h("td", {}, plan.in_doubt ? "IN DOUBT: settle it" : stateWords(plan.state), plan.mandate ? ` under mandate ${plan.mandate}` : null),
    h("td", {}, foreign(plan.caller)), h("td", { class: "number" }, `$${plan.notional}`), h("td", {}, instant(plan.updated_at))));
  const older = new URLSearchParams(search);
  if (data.after) older.set("after", data.after);
  return [
    rows.length ? table("Operations, newest first", ["Plan", "Account", "What", "State", "Asked for by", "Notional", "At"], rows)
      : h("p", {}, "None."),
    data.after ? h("p", {}, h("a", { href: `/history?${older}` }, "Older operations")) : null,
  ];
}

export function state(data) {
  const limits = Object.entries(data.limits).map(([name, value]) => h("li", {}, `${name}: ${value ?? "no limit"}`));
  return [
    h("h1", {}, "State"),
    h("p", {}, data.trading ? "Trading is enabled." : "Trading is not enabled: this server only reads."),
    h("h2", {}, "Limits"), h("ul", {}, limits), h("p", {}, `Policy ${data.policy}.`),
    table("Accounts", ["Account", "Notional used today", "At most", "In doubt", "Submitted, not closed"], data.accounts.map((use) =>
      h("tr", {}, h("th", { scope: "row" }, use.account), h("td", { class: "number" }, `$${use.used_today}`), h("td", { class: "number" }, use.most_today ? `$${use.most_today}` : "no limit"),
        h("td", {}, links(use.in_doubt)), h("td", {}, links(use.following))))),
    data.callers.length ? table("Asked for today", ["Account", "Agent or caller", "Operations", "Rows sent", "Notional", "Declined", "In doubt"], data.callers.map((each) =>
      h("tr", {}, h("th", { scope: "row" }, each.account), h("td", {}, foreign(each.caller)),
        ...[each.operations, each.rows_sent, `$${each.notional}`, each.declined, each.in_doubt].map((value) => h("td", { class: "number" }, String(value)))))) : null,
    h("h2", {}, "Servers on this store"),
    data.servers.length ? h("ul", {}, data.servers.map((server) => h("li", {}, foreign(server.process),
      ` ${server.mode}, accounts ${server.accounts.join(", ")}: ${server.sends ? "sends what is approved" : "sends nothing"}`,
      server.silent_s ? h("strong", {}, `, last heard of ${server.silent_s} s ago`) : null)))
      : h("p", {}, "None is known to be alive: nothing that is approved would be sent."),
    h("h2", {}, "Store"),
    h("p", {}, data.store.writable ? "It can be written." : h("strong", {}, "It cannot be written: ", foreign(data.store.reason))),
    data.journal ? h("p", { class: "hash" }, `Journal: ${data.journal.entries} entries, head ${data.journal.head}`) : null,
  ];
}

const links = (ids) => (ids.length ? ids.flatMap((id) => [link(id), " "]) : "none");

export function book(account, accounts, data) {
  const others = accounts.map((each) => each.account).filter((each) => each !== account);
  const head = [h("h1", {}, `Account ${account}`), others.length
    ? h("p", {}, "Others: ", others.flatMap((each) => [h("a", { href: `/book/${each}` }, each), " "])) : null];
  if (!data.readable) return [...head, h("p", {}, "The account cannot be read now.")];
  const rows = data.positions.map((row) => h("tr", {}, h("th", { scope: "row" }, foreign(row.symbol)),
    h("td", { class: "number" }, row.quantity), h("td", { class: "number" }, row.value ?? "not known"),
    h("td", { class: "number" }, row.pnl ?? "not known")));
  return [
    ...head,
    h("p", {}, "Read at ", instant(data.as_of), data.complete ? null : h("strong", {}, " The listing is incomplete.")),
    table("Positions, largest first", ["Symbol", "Quantity", "Market value", "Unrealized P&L"], rows),
  ];
}

// Drawn by the server. Shown as images, so that nothing in them runs or leaves; what they say stands beside them in words.
export function figures(pictures) {
  return pictures.map((each) => h("figure", {}, h("figcaption", {}, each.title),
    each.svg ? h("img", { src: URL.createObjectURL(new Blob([each.svg], { type: "image/svg+xml" })), alt: each.said, onload: (event) => URL.revokeObjectURL(event.target.src) })
      : h("p", {}, "Nothing to draw."),
    each.beside.length ? h("ul", {}, each.beside.map((line) => h("li", {}, foreign(line)))) : null));
}

export async function drawn(path, description) {
  try {
    return h("figure", {}, h("img", { src: await picture(path), alt: description }));
  } catch {
    return h("p", {}, `${description}: not available now.`);
  }
}

function table(caption, head, rows) {
  return h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": caption },
    h("table", {}, h("caption", {}, caption),
      h("thead", {}, h("tr", {}, head.map((name, place) => h("th", { scope: "col", class: rows[0]?.children[place]?.className }, name)))),
      h("tbody", {}, rows)));
}
