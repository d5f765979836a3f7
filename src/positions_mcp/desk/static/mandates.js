// Mandates: what each says and what is left, what a draft would have let through beside the button that signs it.

import { foreign, h, instant } from "./dom.js";
import { drafted, drop } from "./drafts.js";
import { attempt, outcome, secret, TOUCH } from "./forms.js";
import { buttons } from "./passkeys.js";

// Forms are made once and stay as they are typed; only what is known of each mandate is drawn anew.
export function mandates(content, data, after) {
  if (!content.querySelector("#mandates")) {
    content.replaceChildren(h("h1", {}, "Mandates"),
      h("p", {}, "What is signed here is sent without a question. A draft lets nothing through: it notes what it would have."),
      h("div", { id: "mandates" }), h("p", { id: "no-mandates" }, "None."), drafting(data, after));
  }
  const list = content.querySelector("#mandates");
  const drawn = new Map([...list.children].map((each) => [each.dataset.mandate, each]));
  const sections = data.mandates.map((each) => refreshed(drawn.get(each.id) ?? section(each), each, after));
  for (const [place, each] of sections.entries()) if (list.children[place] !== each) list.insertBefore(each, list.children[place] ?? null);
  while (list.children.length > sections.length) list.lastChild.remove();
  content.querySelector("#no-mandates").hidden = sections.length > 0;
}

const section = (each) => h("section", { class: "mandate", "data-mandate": each.id, "aria-label": `Mandate ${each.id}` },
  h("div", { class: "known" }), h("div", { class: "forms" }));

function refreshed(made, each, after) {
  const wasOpen = made.querySelector(".known details")?.open;
  made.querySelector(".known").replaceChildren(...known(each));
  if (wasOpen) made.querySelector(".known details").open = true;
  const stands = `${each.digest} ${each.is_draft} ${each.is_revoked}`;
  if (made.dataset.stands !== stands) {
    made.querySelector(".forms").replaceChildren(...(each.is_draft ? [signing(each, after)] : []), ...(each.is_revoked ? [] : [revoking(each, after)]));
    made.dataset.stands = stands;
  }
  return made;
}

const known = (each) => [
  h("h2", {}, each.mode, " ", each.id, ": ", each.state),
  each.why_not_signed ? h("p", { class: "warning" }, foreign(each.why_not_signed)) : null,
  h("ul", {}, each.lines.map((line) => h("li", {}, foreign(line)))),
  each.ends ? h("p", {}, "Signed by ", foreign(each.signed_by), ", until ", instant(each.ends), "; ", each.left) : null,
  each.uses.length ? h("ul", {}, each.uses.map((use) => h("li", {}, h("a", { href: `/op/${use.operation}` }, use.operation), ` $${use.measure} `, instant(use.at)))) : null,
  h("p", {}, `As a draft it would have sent ${each.would_send} of ${each.noted} plans without a question.`),
  each.notes.length ? h("details", {}, h("summary", {}, "Plan by plan"), h("ul", {}, each.notes.map(note))) : null,
].filter(Boolean);

const note = (each) => h("li", {}, instant(each.at), " ", foreign(each.symbols), ` $${each.measure}: `,
  each.why_not.length ? foreign(`asked about. ${each.why_not.join(" ")}`) : h("strong", {}, "sent"));

function signing(each, after) {
  const passphrase = secret(`sign-${each.id}`);
  const sign = async (told) => {
    await attempt(form, { done: "Signed.", path: `/api/mandates/${each.id}/sign`, ...told, body: { digest: each.digest, ...told.body } });
    after();
  };
  const submit = (event) => {
    event.preventDefault();
    if (!passphrase.value) return passphrase.focus();
    sign({ busy: "Signing…", body: { passphrase: passphrase.value } });
  };
  const form = h("form", { class: "decision", onsubmit: submit },
    h("label", { for: passphrase.id }, "Passphrase, to sign it for the next trading day"), passphrase,
    h("div", { class: "buttons" }, h("button", { class: "approve" }, `SIGN in ${each.mode}`),
      buttons(`SIGN in ${each.mode}`, (passkey) => sign({ busy: TOUCH, passkey }), "approve")), outcome());
  return form;
}

function revoking(each, after) {
  const submit = async (event) => {
    event.preventDefault();
    await attempt(form, { busy: "Revoking…", done: "Revoked.", path: `/api/mandates/${each.id}/revoke`, body: {} });
    after();
  };
  const form = h("form", { onsubmit: submit }, h("button", { class: "reject" }, each.is_draft ? "Throw away" : "REVOKE"), outcome());
  return form;
}

// What is asked of who drafts one. Several names stand in one field, apart by commas or on lines of their own.
const FIELDS = [
  ["instruments", "Instruments, each one alone: symbols or OSI symbols", "KO, JPM"],
  ["underlyings", "Underlyings: the share and its standard options", ""],
  ["per_operation", "Dollars an operation, at most", ""],
  ["in_all", "Dollars in all, at most", ""],
  ["operations", "Operations, at most", ""],
  ["callers", "Callers: a client's name or a token's subject (empty: everybody)", ""],
  ["prices", "Prices between which it may be sent: SYMBOL:FROM:TO (may be empty)", "KO:55:60"],
  ["loss_at_most", "Only while what it closes has lost at most, in dollars (may be empty)", ""],
  ["until", "Until, New York time of day (empty: the end of the day)", "15:30"],
  ["shadow_days", "Days for which it notes plans (1 to 31; empty: 7)", ""],
];
const SEVERAL = ["instruments", "underlyings", "callers", "prices"];

function drafting(data, after) {
  const fields = FIELDS.map(([name, words, placeholder]) => [name, words, drafted(`mandate:${name}`, h("input", { id: `draft-${name}`, placeholder }))]);
  const account = h("select", { id: "draft-account" }, data.accounts.map((each) => h("option", {}, each)));
  const kinds = data.kinds.map((kind) => [kind, h("input", { id: `draft-${kind.value}`, type: "checkbox" })]);
  kinds[0][1].checked = true;
  const cancels = h("input", { id: "draft-cancel-orders", type: "checkbox" });
  const submit = async (event) => {
    event.preventDefault();
    const said = Object.fromEntries(fields.map(([name, , field]) => [name, SEVERAL.includes(name) ? field.value.split(/[,\n]/) : field.value]));
    if (!said.shadow_days) delete said.shadow_days;
    const body = { ...said, account: account.value, kinds: kinds.filter(([, box]) => box.checked).map(([kind]) => kind.value), cancel_orders: cancels.checked };
    if (!await attempt(form, { busy: "Keeping it…", done: "It is kept as a draft.", path: "/api/mandates", body })) return;
    for (const [name] of fields) drop(`mandate:${name}`);
    form.replaceWith(drafting(data, after));
    after();
  };
  const box = (words, field) => h("p", {}, field, " ", h("label", { for: field.id }, words));
  const form = h("form", { id: "draft", class: "decision", onsubmit: submit }, h("h2", {}, `Draft one in ${data.mode}`),
    h("label", { for: account.id }, "Account"), account,
    h("fieldset", {}, h("legend", {}, "What it may do"), kinds.map(([kind, field]) => box(kind.words, field)), box("cancel open orders before closing", cancels)),
    fields.flatMap(([, words, field]) => [h("label", { for: field.id }, words), field]),
    h("button", {}, "Keep as a draft"), outcome());
  return form;
}
