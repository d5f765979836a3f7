// Passkeys of this browser. The desk says what is to be signed; one touch signs that and nothing else.

import { foreign, h } from "./dom.js";
import { send } from "./requests.js";

const MAY_NOT = {
  NotAllowedError: "The passkey was not used: it was cancelled, took too long, or does not verify who you are.",
  InvalidStateError: "This device has a passkey for this page already.",
  SecurityError: "This page has no name that a passkey could belong to.",
  TypeError: "This browser cannot read what was to be signed.",
};

export const canUse = () => Boolean(window.PublicKeyCredential?.parseRequestOptionsFromJSON);

// Waits for the person's device. What it answers is for the desk to judge.
async function answered(ask) {
  try {
    return (await ask()).toJSON();
  } catch (error) {
    throw new Error(`${MAY_NOT[error.name] ?? error.message} Nothing was decided.`);
  }
}

export const signed = (options) =>
  answered(() => navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) }));

export const made = (options) =>
  answered(() => navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) }));

// Those of who is signed in that belong to this page.
let mine = [];
export const know = (passkeys) => { mine = canUse() ? passkeys : []; };

// The desk freezes what `body` says, one touch signs it, and what was signed goes back under its name.
export async function sendSigned(path, body, passkey) {
  const { offer, sign } = await send("POST", path, { ...body, passkey: passkey.fingerprint });
  return send("POST", path, { offer, assertion: await signed(sign) });
}

// One button for each passkey; `act` is given the passkey.
export const buttons = (words, act, kind = "") => mine.map((passkey) =>
  h("button", { type: "button", class: kind, onclick: () => act(passkey) }, `${words} with passkey `, foreign(passkey.label)));
