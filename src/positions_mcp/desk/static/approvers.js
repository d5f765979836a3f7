// Who may decide, and with what. Adding or removing a passkey changes the roster, which a credential there signs.

import { foreign, h, instant } from "./dom.js";
import { attempt, outcome, secret } from "./forms.js";
import { buttons, canUse, made } from "./passkeys.js";
import { send } from "./requests.js";

const TOUCH = "Waiting for the passkey…";
const A_MINUTE_MS = 60_000;
const PATH = "/api/approvers/passkeys";

export const approvers = (data, after) => h("section", { id: "approvers", "data-digest": data.digest },
  h("h2", {}, "Approvers"), data.members.map((member) => one(data, member, after)));

const one = (data, member, after) => h("section", { class: "approver" },
  h("h3", {}, foreign(member.name), member.name === data.you ? " (you)" : "", member.manages ? ", may change this list" : ""),
  h("ul", {}, member.credentials.map((credential) => h("li", {}, credential.kind === "passkey"
    ? ["passkey ", foreign(credential.label), ` at ${credential.origin}, `] : "passphrase, ", credential.fingerprint, ", since ", instant(credential.created_at),
    credential.kind === "passkey" && data.can_change ? removal(data, member, credential, after) : null))),
  data.can_change ? addition(data, member, after) : null);

// A passkey is made first, and counts from when the list that has it is signed.
function addition(data, member, after) {
  if (!canUse()) return h("p", {}, "This browser cannot make passkeys here.");
  if (!data.page_is_named) return h("p", {}, "Passkeys need a page with a name: open the desk at localhost.");
  const label = h("input", { id: `label-${member.name}`, maxlength: "40" });
  // A wrong passphrase makes no second passkey.
  let answer = null;
  const make = async () => {
    if (!answer) setTimeout(() => { answer = null; }, A_MINUTE_MS);
    answer ??= await create(member.name, label.value);
    return answer;
  };
  const endorse = endorsement(`endorse-${member.name}`, "Add it", async (signature) => {
    if (!label.value.trim()) return label.focus();
    await attempt(form, { done: "Added.", ...signature, path: `${PATH}/add`, make });
    after();
  });
  const form = h("form", { class: "decision", onsubmit: endorse.submit }, h("h4", {}, "Add a passkey for ", foreign(member.name)),
    h("label", { for: label.id }, "Name of the device"), label, endorse.fields, outcome());
  return form;
}

async function create(name, label) {
  const { offer, create: options } = await send("POST", PATH, { name, label });
  return { offer, made: await made(options) };
}

function removal(data, member, credential, after) {
  const endorse = endorsement(`remove-${credential.fingerprint}`, "Remove it", async (signature) => {
    const body = { ...signature.body, digest: data.digest, fingerprint: credential.fingerprint };
    await attempt(form, { done: "Removed.", ...signature, path: `${PATH}/remove`, body });
    after();
  });
  const form = h("form", { class: "decision", onsubmit: endorse.submit }, endorse.fields, outcome());
  return h("details", {}, h("summary", {}, "Remove ", foreign(credential.label)), form);
}

// What signs the change: the passphrase, or a passkey that counts already.
function endorsement(id, words, act) {
  const passphrase = secret(id);
  const submit = (event) => {
    event.preventDefault();
    if (!passphrase.value) return passphrase.focus();
    act({ busy: "Signing…", body: { passphrase: passphrase.value } });
  };
  return {
    submit,
    fields: [h("label", { for: id }, "Passphrase, to sign the change"), passphrase,
      h("div", { class: "buttons" }, h("button", {}, words), buttons(words, (passkey) => act({ busy: TOUCH, body: {}, passkey })))],
  };
}
