// Withdrawing after a halt: the orders that would be cancelled, one signature, and what became of each.

import { foreign, h } from "./dom.js";
import { attempt, outcome, secret, TOUCH } from "./forms.js";
import { buttons } from "./passkeys.js";

const PATH = "/api/withdrawal";

// `place` holds the form as long as it is about what it showed, and then the report.
export function withdrawals(place, data, after) {
  const form = place.querySelector("form");
  if (form?.dataset.busy) return;
  if (!data) return form?.remove();
  if (form?.dataset.digest === data.digest) return;
  if (form?.querySelector("input[type=password]")?.value) return moved(form, () => place.replaceChildren(withdrawal(place, data, after)));
  const report = place.querySelector(".report");
  if (!data.orders.length && report) return form?.remove();
  place.replaceChildren(...(report ? [report] : []), withdrawal(place, data, after));
}

function moved(form, redraw) {
  if (form.querySelector(".changed")) return;
  form.prepend(h("p", { class: "changed warning" }, "What is open has changed since this was shown. ",
    h("button", { type: "button", onclick: redraw }, "Show what is open now")));
}

function withdrawal(place, data, after) {
  const title = h("h2", {}, `Withdraw own unfilled closes in ${data.mode}, account ${data.accounts.join(", ")}`);
  const others = data.others ? h("p", {}, `${data.others} more in accounts where you may not approve: they stay.`) : null;
  if (!data.orders.length) {
    return h("form", { "data-digest": data.digest }, title, h("p", {}, "No close of this program that the halt covers is open there."), others);
  }
  const passphrase = secret("withdraw-passphrase");
  const words = `CANCEL ${data.orders.length === 1 ? "this order" : `these ${data.orders.length} orders`}`;
  const withdraw = async (told) => {
    form.dataset.busy = "yes";
    const done = (answer) => form.replaceWith(reported(answer.report));
    await attempt(form, { done, path: PATH, ...told, body: { digest: data.digest, orders: data.orders.map((each) => each.shown), ...told.body } });
    delete form.dataset.busy;
    after();
  };
  const submit = (event) => {
    event.preventDefault();
    if (!passphrase.value) return passphrase.focus();
    withdraw({ busy: "Cancelling. This may take two minutes…", body: { passphrase: passphrase.value } });
  };
  const form = h("form", { class: "decision", "data-digest": data.digest, onsubmit: submit }, title,
    h("ul", {}, data.orders.map(order)), others,
    h("p", { class: "warning" }, "What is cancelled stays held: the position is open again until somebody closes it. Each is asked for once. Orders of others stay."),
    h("label", { for: passphrase.id }, "Passphrase, to cancel"), passphrase,
    h("div", { class: "buttons" }, h("button", { class: "reject" }, words), buttons(words, (passkey) => withdraw({ busy: TOUCH, passkey }), "reject")), outcome());
  return form;
}

const order = (each) => h("li", {}, foreign(each.symbol), " in account ", each.account, ": ",
  each.shown.order_id === null ? `no order of it is known yet, its request is ${each.state}`
    : foreign([each.side, each.quantity, each.state, each.filled === null ? "" : `${each.filled} filled`].filter(Boolean).join(" ")),
  ", ", h("a", { href: `/op/${each.operation}` }, each.operation));

const reported = (report) => h("section", { class: "report", role: "status" }, h("h2", {}, "What became of the orders"),
  h("ul", {}, report.map((each) => h("li", { class: each.is_over ? "" : "warning" }, foreign(each.symbol), " in account ", String(each.account_id), ": ",
    h("strong", {}, each.outcome), each.detail ? [". ", foreign(each.detail)] : "", ", ", h("a", { href: `/op/${each.operation_id}` }, each.operation_id)))),
  report.every((each) => each.is_over) ? null : h("p", { class: "warning" }, "Not all of them are over: look at the broker's own record."));
