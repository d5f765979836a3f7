// What a person decides. A form is made once, stays as it is typed, and is bound to what it showed.

import { foreign, h } from "./dom.js";
import { drafted, drop } from "./drafts.js";
import { haltWords, say } from "./notice.js";
import { buttons, sendSigned } from "./passkeys.js";
import { send } from "./requests.js";
import { signedOut } from "./session.js";

const about = (plan) => `/api/operations/${encodeURIComponent(plan.id)}`;
export const secret = (id) => h("input", { id, type: "password", autocomplete: "off" });
export const TOUCH = "Waiting for the passkey…";
export const outcome = () => h("p", { class: "over", role: "status" });

// Sends what the form says, signed with a passkey where one is given, and what `make` makes first. What was typed stays, whatever comes back; after
// `done`, words or what is done with the answer, the form is over.
export async function attempt(form, { busy, done, path, body, draft = null, passkey = null, make = null }) {
  const over = form.querySelector(".over");
  const buttons = [...form.querySelectorAll("button")];
  for (const button of buttons) button.disabled = true;
  over.textContent = busy;
  let answer;
  try {
    const whole = { ...body, ...(await make?.()) };
    answer = await (passkey ? sendSigned(path, whole, passkey) : send("POST", path, whole));
  } catch (error) {
    over.textContent = error.message;
    form.dataset.refused = error.status;
    for (const button of buttons) button.disabled = false;
    if (error.status === 401) signedOut();
    else form.querySelector("input[type=password]")?.select();
    return false;
  }
  if (draft) drop(draft);
  if (typeof done === "function") done(answer);
  else end(form, done);
  return true;
}

export function end(form, why) {
  for (const field of form.querySelectorAll("input, textarea, button")) field.disabled = true;
  for (const field of form.querySelectorAll("input[type=password]")) field.value = "";
  form.querySelector(".over").textContent = why;
}

export function decision(plan, after) {
  const draft = `note:${plan.id}`;
  const note = drafted(draft, h("textarea", { id: "note", rows: "2", maxlength: "300" }));
  const passphrase = secret("approve-passphrase");
  const decide = async (what, told) => {
    await attempt(form, { ...told, path: `${about(plan)}/${what}`, body: { digest: plan.digest, ...told.body }, draft });
    after();
  };
  const approve = (event) => {
    event.preventDefault();
    if (!passphrase.value) return passphrase.focus();
    decide("approve", { busy: "Signing…", done: "Approved.", body: { passphrase: passphrase.value, note: note.value } });
  };
  const touch = (passkey) => decide("approve", { busy: TOUCH, done: "Approved.", passkey, body: { note: note.value } });
  const reject = () => decide("reject", { busy: "Rejecting…", done: "Rejected.", body: { reason: note.value } });
  const form = h("form", { class: "decision", "data-digest": plan.digest, onsubmit: approve },
    h("h2", {}, "Your decision"),
    h("label", { for: "note" }, "Note or reason (the agent reads it)"), note,
    h("label", { for: "approve-passphrase" }, "Passphrase, to approve"), passphrase,
    h("div", { class: "buttons" }, h("button", { class: "approve" }, `APPROVE in ${plan.mode}`),
      buttons(`APPROVE in ${plan.mode}`, touch, "approve"),
      h("button", { type: "button", class: "reject", onclick: reject }, "REJECT")), outcome());
  return form;
}

export function settlement(plan, doubt, after) {
  const draft = `settle:${plan.id}:${doubt.row}`;
  const evidence = drafted(draft, h("textarea", { id: `evidence-${doubt.row}`, rows: "2" }));
  const passphrase = secret(`settle-${doubt.row}`);
  const settle = async (tookEffect, passkey = null) => {
    const missing = (passkey ? [evidence] : [evidence, passphrase]).find((field) => !field.value.trim());
    if (missing) return missing.focus();
    const body = { row: doubt.row, digest: form.dataset.digest, took_effect: tookEffect, evidence: evidence.value, ...(passkey ? {} : { passphrase: passphrase.value }) };
    await attempt(form, { busy: passkey ? TOUCH : "Checking the passphrase…", done: "Settled.", path: `${about(plan)}/settle`, body, draft, passkey });
    after();
  };
  const button = (text, tookEffect) => [h("button", { type: "button", onclick: () => settle(tookEffect) }, text),
    ...buttons(text, (passkey) => settle(tookEffect, passkey))];
  const form = h("form", { class: "settlement", "data-row": String(doubt.row), "data-digest": doubt.digest, onsubmit: (event) => event.preventDefault() },
    h("h2", {}, `In doubt, row ${doubt.row + 1}: `, foreign(doubt.planned), " ", foreign(doubt.symbol)),
    h("p", { class: "known" }, foreign(doubt.detail)),
    h("p", {}, "Look at the broker's own record first. Only a person may say that it did not take effect."),
    h("label", { for: evidence.id }, "What you saw, and where"), evidence,
    h("label", { for: passphrase.id }, "Passphrase, to settle"), passphrase,
    h("div", { class: "buttons" }, button("It took effect", true), button("It did not", false)), outcome());
  return form;
}

// More is known than the form showed: it is bound to that only once the person says that they have read it.
export function changed(form, doubt) {
  if (form.querySelector(".changed")) form.querySelector(".changed").remove();
  const read = () => {
    form.dataset.digest = doubt.digest;
    form.querySelector(".known").replaceChildren(foreign(doubt.detail));
    note.remove();
  };
  const note = h("p", { class: "changed warning", "data-digest": doubt.digest }, "What is known of it has changed: ", foreign(doubt.detail), " ",
    h("button", { type: "button", onclick: read }, "I have read it"));
  form.querySelector(".known").after(note);
}

export function resumption(halt, after) {
  const name = `resume-passphrase-${halt.digest}`;
  const passphrase = secret(name);
  const resume = async (told) => {
    await attempt(form, { done: "Resumed.", path: "/api/resume", ...told });
    after();
  };
  const submit = (event) => {
    event.preventDefault();
    if (!passphrase.value) return passphrase.focus();
    resume({ busy: "Checking the passphrase…", body: { digest: halt.digest, passphrase: passphrase.value } });
  };
  const touch = (passkey) => resume({ busy: TOUCH, body: { digest: halt.digest }, passkey });
  const form = h("form", { class: "decision", "data-digest": halt.digest, onsubmit: submit }, h("h2", {}, "End the halt"),
    h("p", {}, ...haltWords(halt)),
    h("label", { for: name }, "Passphrase, to resume"), passphrase,
    h("div", { class: "buttons" }, h("button", {}, "Resume"), buttons("Resume", touch)), outcome());
  return form;
}

// What narrows a halt: nothing, unless somebody says so.
function scope() {
  const account = h("input", { id: "halt-account", inputmode: "numeric" });
  const caller = h("input", { id: "halt-caller" });
  const kind = h("select", { id: "halt-kind" }, h("option", { value: "" }, "every kind"), h("option", { value: "close" }, "closing positions"),
    h("option", { value: "exercise" }, "exercise instructions"));
  return {
    said: () => ({ account: account.value, caller: caller.value, kind: kind.value }),
    fields: h("details", {}, h("summary", {}, "Only a part of it"),
      h("label", { for: account.id }, "One account's number"), account,
      h("label", { for: caller.id }, "One caller: a client's name or a token's subject"), caller,
      h("label", { for: kind.id }, "One kind"), kind),
  };
}

// `withdraw` leads to what may then be cancelled: that is shown first, and takes a signature.
export function halting(after, withdraw) {
  const reason = drafted("halt", h("input", { id: "halt-reason", maxlength: "200" }));
  const part = scope();
  const submit = async (event) => {
    event.preventDefault();
    let doubt = "";
    const done = (answer) => { doubt = answer.doubt; };
    const told = { busy: "Halting…", done, path: "/api/halt", body: { reason: reason.value, ...part.said() }, draft: "halt" };
    // Where the session has ended the door is shown, and the reason is still here afterwards.
    const isHalted = await attempt(form, told);
    if (isHalted || document.getElementById("content").hidden) dialog.close();
    else if (form.dataset.refused !== "0") form.querySelector(".over").prepend("It is NOT halted: ");
    if (isHalted && event.submitter?.value === "withdraw") withdraw();
    else after();
    if (doubt) say(doubt);
  };
  const form = h("form", { onsubmit: submit }, h("h2", { id: "halt-title" }, "Halt everything destructive"),
    h("label", { for: "halt-reason" }, "Reason (may be left out)"), reason, part.fields,
    h("div", { class: "buttons" }, h("button", { class: "reject" }, "HALT"), h("button", { class: "reject", value: "withdraw" }, "HALT AND WITHDRAW…"),
      h("button", { type: "button", onclick: () => dialog.close() }, "Leave it running")), outcome());
  const dialog = h("dialog", { "aria-labelledby": "halt-title", onclose: () => dialog.remove() }, form);
  document.body.append(dialog);
  dialog.showModal();
}
