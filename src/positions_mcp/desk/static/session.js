// Signing in and out. The door stands in front of the page: what was typed there is still there afterwards.

import { h } from "./dom.js";
import { dropAll } from "./drafts.js";
import { canUse, signed } from "./passkeys.js";
import { askOtherTabs, keep, listen, on, over, pause, read, send, token } from "./requests.js";

const door = document.getElementById("door");
const content = document.getElementById("content");
const TRIES_WHEN_CROWDED = 15;
let entered = () => {};

// Calls `enter` whenever somebody has signed in here, or in another tab of this browser.
export async function start(enter) {
  entered = enter;
  on("over", () => lock("The session has ended: sign in again. What you typed is still here."));
  on("token", unlock);
  await askOtherTabs();
  const { mode } = await read("/api/door");
  document.getElementById("mode").textContent = mode === "LIVE" ? "LIVE · REAL MONEY" : "PAPER · no real money";
  document.body.className = mode.toLowerCase();
  if (!token()) return lock("");
  try {
    await read("/api/state", true);
  } catch (error) {
    if (error.status !== 401) throw error;
    over();
    return lock("");
  }
  unlock();
}

export const signedOut = over;

function chrome(isIn) {
  document.getElementById("pages").hidden = !isIn;
  document.getElementById("tools").hidden = !isIn;
  content.hidden = !isIn;
  if (!isIn) document.title = "Sign in · Positions desk";
}

function unlock() {
  door.replaceChildren();
  chrome(true);
  listen();
  entered();
}

async function lock(why) {
  chrome(false);
  for (const field of content.querySelectorAll("input[type=password]")) field.value = "";
  if (door.firstChild) return;
  let [approver, several, command] = [true, false, ""];
  try {
    ({ approver, several, command } = await read("/api/door"));
  } catch { /* the desk is away: signing in says so */ }
  if (token() || door.firstChild) return;
  door.replaceChildren(...(approver ? [form(why, several)] : [
    h("h1", {}, "Nobody can sign in yet"),
    h("p", {}, "Choose the passphrase once, in a terminal: ", h("code", {}, command)),
    h("p", {}, "This page goes on by itself then."),
  ]));
  door.querySelector("input")?.focus();
  if (!approver) onceSomebodyCan(why);
}

async function onceSomebodyCan(why) {
  for (;;) {
    await pause(2000);
    if (token()) return;
    if (!document.hidden && (await read("/api/door").catch(() => ({}))).approver) break;
  }
  door.replaceChildren();
  lock(why);
}

// Where one person approves alone, nobody is asked for a name.
function form(why, several) {
  const name = several ? h("input", { id: "name", autocomplete: "username", required: true }) : null;
  const passphrase = h("input", { id: "passphrase", type: "password", autocomplete: "current-password", required: true });
  const button = h("button", {}, "Sign in");
  const said = h("p", { class: "over", role: "status" });
  async function submit(event) {
    event.preventDefault();
    button.disabled = true;
    said.textContent = "Checking the passphrase…";
    try {
      keep((await answered({ passphrase: passphrase.value, ...(name && { name: name.value }) })).token);
      unlock();
    } catch (error) {
      said.textContent = error.status === 0 ? "The desk does not answer. Is it still running?" : error.message;
      button.disabled = false;
      passphrase.select();
    }
  }
  async function touch() {
    if (name && !name.value) return name.focus();
    said.textContent = "Waiting for the passkey…";
    const who = { name: name?.value ?? "" };
    try {
      const { offer, sign } = await send("POST", "/api/session/passkey", who);
      keep((await send("POST", "/api/session", { ...who, offer, assertion: await signed(sign) })).token);
      unlock();
    } catch (error) {
      said.textContent = error.message;
    }
  }
  return h("form", { onsubmit: submit }, h("h1", {}, "Sign in to the desk"), why ? h("p", {}, why) : null,
    h("p", {}, "A session reads, rejects and halts. Every approval asks for the passphrase again."),
    ...(name ? [h("label", { for: "name" }, "Your name"), name] : []),
    h("label", { for: "passphrase" }, "Passphrase"), passphrase, button,
    canUse() ? h("button", { type: "button", onclick: touch }, "Use a passkey") : null, said);
}

// While others are trying, this one waits for its turn: nobody can keep a person out by guessing.
async function answered(who) {
  for (let tries = 1; ; tries += 1) {
    try {
      return await send("POST", "/api/session", who);
    } catch (error) {
      if (error.status !== 429 || tries === TRIES_WHEN_CROWDED) throw error;
      await pause(1000);
    }
  }
}

document.getElementById("sign-out").addEventListener("click", async () => {
  try {
    await send("DELETE", "/api/session");
  } finally {
    dropAll();
    content.replaceChildren();
    over();
  }
});
