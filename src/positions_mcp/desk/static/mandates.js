// Mandates: what each says and what is left, what a draft would have let through beside the button that signs it.

import { foreign, h, instant } from "./dom.js";
import { end } from "./forms.js";
import { send } from "./requests.js";
import { signedOut } from "./session.js";

export function mandates(data, after) {
  return [
    h("h1", {}, "Mandates"),
    h("p", {}, "What is signed here is sent without a question. A draft is written in a terminal: ", h("code", {}, "positions-mcp mandate draft --help"), "."),
    ...(data.mandates.length ? data.mandates.map((each) => mandate(each, after)) : [h("p", {}, "None.")]),
  ];
}

function mandate(each, after) {
  return h("section", { class: "mandate", "data-id": each.id, "aria-label": `Mandate ${each.id}` },
    h("h2", {}, each.mode, " ", each.id, ": ", each.state),
    h("ul", {}, each.lines.map((line) => h("li", {}, foreign(line)))),
    each.ends ? h("p", {}, "Signed by ", foreign(each.signed_by), ", until ", instant(each.ends), "; ", each.left) : null,
    each.uses.length ? h("ul", {}, each.uses.map((use) => h("li", {}, h("a", { href: `/op/${use.operation}` }, use.operation), ` $${use.measure} `, instant(use.at)))) : null,
    h("p", {}, `As a draft it would have sent ${each.would_send} of ${each.noted} plans without a question.`),
    each.notes.length ? h("details", {}, h("summary", {}, "Plan by plan"), h("ul", {}, each.notes.map(note))) : null,
    each.is_draft ? signing(each, after) : null,
    each.is_revoked ? null : revoking(each, after));
}

const note = (each) => h("li", {}, instant(each.at), " ", foreign(each.symbols), ` $${each.measure}: `,
  each.why_not.length ? foreign(`asked about. ${each.why_not.join(" ")}`) : h("strong", {}, "sent"));

async function attempt(form, path, body, done, after) {
  const over = form.querySelector(".over");
  try {
    await send("POST", path, body);
  } catch (error) {
    over.textContent = error.message;
    if (error.status === 401) signedOut();
    return;
  }
  end(form, done);
  after();
}

function signing(each, after) {
  const passphrase = h("input", { id: `sign-${each.id}`, type: "password", autocomplete: "off" });
  const submit = (event) => {
    event.preventDefault();
    if (!passphrase.value) return passphrase.focus();
    attempt(form, `/api/mandates/${each.id}/sign`, { digest: each.digest, passphrase: passphrase.value }, "Signed.", after);
  };
  const form = h("form", { class: "decision", onsubmit: submit },
    h("label", { for: passphrase.id }, "Passphrase, to sign it for the next trading day"), passphrase,
    h("button", { class: "approve" }, `SIGN in ${each.mode}`), h("p", { class: "over", role: "status" }));
  return form;
}

function revoking(each, after) {
  const submit = (event) => {
    event.preventDefault();
    attempt(form, `/api/mandates/${each.id}/revoke`, {}, "Revoked.", after);
  };
  const form = h("form", { onsubmit: submit }, h("button", { class: "reject" }, each.is_draft ? "Throw away" : "REVOKE"),
    h("p", { class: "over", role: "status" }));
  return form;
}
