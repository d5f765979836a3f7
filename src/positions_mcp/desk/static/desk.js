// The desk: signs in, shows the page of the address, draws it anew when the store changes, and takes decisions.

import { foreign, h, tick } from "./dom.js";
import { askOtherTabs, forget, keep, listen, onChange, read, send, token } from "./requests.js";
import * as views from "./views.js";

const main = document.getElementById("main");
const said = document.getElementById("said");
let offset = 0;
let selected = null;
let shown = { path: "", data: null, drawn: 0 };
let seen = null;
let drawing = Promise.resolve();

const say = (text) => { said.textContent = text; };
const path = () => location.pathname;
const operationId = () => path().match(/^\/op\/([^/]+)$/)?.[1];

// --- signing in

async function start() {
  await askOtherTabs();
  const door = await read("/api/door");
  document.getElementById("mode").textContent = door.mode === "LIVE" ? "LIVE · REAL MONEY" : "PAPER · no real money";
  document.body.className = door.mode.toLowerCase();
  if (!token()) return signIn(door);
  try {
    await read("/api/state", true);
  } catch (error) {
    if (error.status !== 401) throw error;
    forget();
    return signIn(door);
  }
  enter();
}

function signIn(door) {
  chrome(false);
  if (!door.approver) {
    main.replaceChildren(h("h1", {}, "Nobody can sign in yet"),
      h("p", {}, "Choose the passphrase once, in a terminal: ", h("code", {}, "positions-mcp approver init")));
    return;
  }
  const passphrase = h("input", { id: "passphrase", type: "password", autocomplete: "current-password", required: true });
  const button = h("button", {}, "Sign in");
  const form = h("form", { onsubmit: submit }, h("label", { for: "passphrase" }, "Passphrase"), passphrase, button);
  async function submit(event) {
    event.preventDefault();
    button.disabled = true;
    say("Checking the passphrase…");
    try {
      keep((await send("POST", "/api/session", { passphrase: passphrase.value })).token);
      say("");
      enter();
    } catch (error) {
      say(error.message);
      button.disabled = false;
      passphrase.select();
    }
  }
  main.replaceChildren(h("h1", {}, "Sign in to the desk"),
    h("p", {}, "A session reads, rejects and halts. Every approval asks for the passphrase again."), form);
  passphrase.focus();
}

function chrome(isIn) {
  document.getElementById("pages").hidden = !isIn;
  document.getElementById("tools").hidden = !isIn;
}

function enter() {
  chrome(true);
  listen();
  show(true);
}

function signedOut() {
  forget();
  read("/api/door").then(signIn, (error) => say(error.message));
}

// --- showing

function show(byPerson = false) {
  drawing = drawing.then(() => draw(byPerson)).catch((error) => {
    if (error.status === 401) signedOut();
    else say(error.message);
  });
  return drawing;
}

async function draw(byPerson) {
  const at = path();
  const id = operationId();
  const isNew = shown.path !== at;
  for (const link of document.querySelectorAll("#pages a")) {
    if (link.pathname === at) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const waiting = await read("/api/queue", byPerson);
  offset = new Date(waiting.now) - Date.now();
  noticed(waiting);
  if (id) await drawStory(id, isNew);
  else if (at === "/history") fill(views.history(await read("/api/operations")));
  else if (at === "/state") await drawState(isNew);
  else if (at.startsWith("/book")) await drawBook(at, isNew);
  else fill(views.queue(waiting, selected));
  if (path() !== at) return;
  shown.path = at;
  tick(offset);
  if (isNew && byPerson) main.focus({ preventScroll: true });
}

const fill = (children) => main.replaceChildren(...children.flat(2).filter(Boolean));

async function drawStory(id, isNew) {
  const plan = await read(`/api/operations/${encodeURIComponent(id)}`);
  showStory(id, plan, isNew);
  if (plan.moving) look(id);
}

// What was sent is followed while this page shows it: the desk reads the account again, once a second at most.
let looking = null;
async function look(id) {
  if (looking === id) return;
  looking = id;
  try {
    while (looking === id) {
      await new Promise((done) => setTimeout(done, 1000));
      if (operationId() !== id) break;
      if (document.hidden) continue;
      const plan = await read(`/api/operations/${encodeURIComponent(id)}/follow`);
      if (operationId() !== id) break;
      showStory(id, plan, false);
      if (!plan.moving) break;
    }
  } catch (error) {
    if (error.status === 401) signedOut();
    else say(error.message);
  } finally {
    if (looking === id) looking = null;
  }
}

function showStory(id, plan, isNew) {
  if (isNew || !main.querySelector("#story")) {
    const pictured = h("div", { id: "picture" });
    main.replaceChildren(h("div", { id: "story" }), pictured, h("div", { id: "forms" }));
    views.drawn(`/api/operations/${encodeURIComponent(id)}/share.svg`, "Share of the account that this plan is about")
      .then((figure) => pictured.replaceChildren(figure));
    if (plan.can_decide) main.querySelector("#forms").append(decision(plan));
  }
  const details = main.querySelector("#story details");
  const wasOpen = details?.open;
  main.querySelector("#story").replaceChildren(...views.story(plan).flat(2).filter(Boolean));
  if (wasOpen) main.querySelector("#story details").open = true;
  const forms = main.querySelector("#forms");
  const form = forms.querySelector(".decision");
  if (form && (!plan.can_decide || plan.digest !== form.dataset.digest)) close(form, plan);
  for (const doubt of plan.doubtful) {
    if (![...forms.children].some((each) => each.dataset.row === String(doubt.row))) forms.append(settlement(plan, doubt));
  }
}

function close(form, plan) {
  for (const field of form.querySelectorAll("input, textarea, button")) field.disabled = true;
  form.querySelector(".over").textContent = plan.can_decide
    ? "This is no longer the plan that was shown: open it again." : `It is ${views.stateWords(plan.state)} now.`;
}

async function drawState(isNew) {
  const data = await read("/api/state");
  if (isNew || !main.querySelector("#facts")) main.replaceChildren(h("div", { id: "facts" }), options(), h("div", { id: "resume" }));
  main.querySelector("#facts").replaceChildren(...views.state(data).flat(2).filter(Boolean));
  const resume = main.querySelector("#resume");
  if (data.halt && !resume.firstChild) resume.append(resumption());
  if (!data.halt) resume.replaceChildren();
}

async function drawBook(at, isNew) {
  const named = at.match(/^\/book\/(\d+)$/)?.[1];
  const account = named ?? (await read("/api/state")).accounts[0]?.account;
  if (!account) return fill([h("h1", {}, "No account is configured")]);
  if (isNew || !main.querySelector("#picture")) main.replaceChildren(h("div", { id: "positions" }), h("div", { id: "picture" }));
  const data = await read(`/api/accounts/${account}/book`);
  main.querySelector("#positions").replaceChildren(...views.book(account, data).flat(2).filter(Boolean));
  const figure = await views.drawn(`/api/accounts/${account}/book.svg`, "Unrealised profit and loss by position");
  main.querySelector("#picture")?.replaceChildren(figure);
}

// --- deciding

function decision(plan) {
  const note = h("textarea", { id: "note", rows: "2", maxlength: "300" });
  const passphrase = h("input", { id: "approve-passphrase", type: "password", autocomplete: "off" });
  const over = h("p", { class: "over", role: "status" });
  const approve = h("button", { class: "approve" }, `APPROVE in ${plan.mode}`);
  const reject = h("button", { type: "button", class: "reject", onclick: () => decide("reject", { reason: note.value }) }, "REJECT");
  const form = h("form", { class: "decision", "data-digest": plan.digest, onsubmit: submit },
    h("h2", {}, "Your decision"),
    h("label", { for: "note" }, "Note or reason (the agent reads it)"), note,
    h("label", { for: "approve-passphrase" }, "Passphrase, to approve"), passphrase,
    h("div", { class: "buttons" }, approve, reject), over);
  function submit(event) {
    event.preventDefault();
    if (!passphrase.value) return passphrase.focus();
    decide("approve", { passphrase: passphrase.value, note: note.value });
  }
  async function decide(what, body) {
    approve.disabled = reject.disabled = true;
    over.textContent = what === "approve" ? "Signing…" : "Rejecting…";
    try {
      await send("POST", `/api/operations/${encodeURIComponent(plan.id)}/${what}`, { digest: plan.digest, ...body });
      over.textContent = what === "approve" ? "Approved." : "Rejected.";
      say(over.textContent);
    } catch (error) {
      over.textContent = error.message;
      if (error.status === 401) return signedOut();
      approve.disabled = reject.disabled = false;
      passphrase.select();
    }
    if (["Approved.", "Rejected."].includes(over.textContent)) passphrase.value = "";
    show();
  }
  return form;
}

function settlement(plan, { row, symbol, digest }) {
  const evidence = h("textarea", { id: `evidence-${row}`, rows: "2", required: true });
  const passphrase = h("input", { id: `settle-${row}`, type: "password", autocomplete: "off", required: true });
  const over = h("p", { class: "over", role: "status" });
  const button = (text, tookEffect) => h("button", { type: "button", onclick: () => settle(tookEffect) }, text);
  async function settle(tookEffect) {
    try {
      await send("POST", `/api/operations/${encodeURIComponent(plan.id)}/settle`,
        { row, digest, took_effect: tookEffect, evidence: evidence.value, passphrase: passphrase.value });
      form.remove();
    } catch (error) {
      over.textContent = error.message;
      if (error.status === 401) return signedOut();
    }
    show();
  }
  const form = h("form", { class: "settlement", "data-row": String(row), onsubmit: (event) => event.preventDefault() },
    h("h2", {}, "In doubt: ", foreign(symbol)),
    h("p", {}, "Look at the broker's own record first. Only a person may say that it did not take effect."),
    h("label", { for: `evidence-${row}` }, "What you saw, and where"), evidence,
    h("label", { for: `settle-${row}` }, "Passphrase"), passphrase,
    h("div", { class: "buttons" }, button("It took effect", true), button("It did not", false)), over);
  return form;
}

function resumption() {
  const passphrase = h("input", { id: "resume-passphrase", type: "password", autocomplete: "off", required: true });
  const over = h("p", { class: "over", role: "status" });
  async function submit(event) {
    event.preventDefault();
    try {
      await send("POST", "/api/resume", { passphrase: passphrase.value });
      say("Resumed.");
    } catch (error) {
      over.textContent = error.message;
      if (error.status === 401) return signedOut();
    }
    show();
  }
  return h("form", { onsubmit: submit }, h("h2", {}, "End the halt"),
    h("label", { for: "resume-passphrase" }, "Passphrase"), passphrase, h("button", {}, "Resume"), over);
}

document.getElementById("halt").addEventListener("click", async () => {
  const reason = h("input", { id: "halt-reason", maxlength: "200" });
  const dialog = h("dialog", { "aria-labelledby": "halt-title" },
    h("form", { onsubmit: submit }, h("h2", { id: "halt-title" }, "Halt everything destructive"),
      h("label", { for: "halt-reason" }, "Reason (may be left out)"), reason,
      h("div", { class: "buttons" }, h("button", { class: "reject" }, "HALT"),
        h("button", { type: "button", onclick: () => dialog.remove() }, "Leave it running"))));
  async function submit(event) {
    event.preventDefault();
    try {
      await send("POST", "/api/halt", { reason: reason.value });
      dialog.remove();
      show();
    } catch (error) {
      say(`It is NOT halted: ${error.message}`);
    }
  }
  document.body.append(dialog);
  dialog.showModal();
});

document.getElementById("sign-out").addEventListener("click", async () => {
  try { await send("DELETE", "/api/session"); } finally { signedOut(); }
});

// --- noticing

function options() {
  const sound = h("input", { id: "sound", type: "checkbox" });
  sound.checked = localStorage.getItem("desk-sound") === "yes";
  sound.addEventListener("change", () => localStorage.setItem("desk-sound", sound.checked ? "yes" : "no"));
  const notify = h("button", { type: "button", onclick: () => Notification.requestPermission() }, "Notify me of new plans");
  return h("section", {}, h("h2", {}, "This browser"), sound, h("label", { for: "sound" }, "Sound at a new plan"), " ", notify);
}

function noticed({ waiting, halt }) {
  const halted = document.getElementById("halted");
  halted.hidden = !halt;
  halted.replaceChildren(...(halt ? ["HALTED by ", foreign(halt.by), ": ", foreign(halt.reason)] : []));
  const asked = waiting.filter((plan) => plan.asked);
  document.title = asked.length ? `(${asked.length}) Positions desk` : "Positions desk";
  const ids = new Set(asked.map((plan) => plan.id));
  const fresh = seen ? asked.filter((plan) => !seen.has(plan.id)) : [];
  seen = ids;
  if (!fresh.length) return;
  say(`${fresh.length} new to decide.`);
  if (localStorage.getItem("desk-sound") === "yes") beep();
  if (document.hidden && "Notification" in window && Notification.permission === "granted") {
    for (const plan of fresh.slice(0, 3)) new Notification(`${plan.mode}: a plan waits`, { body: plan.heading, tag: plan.id });
  }
}

function beep() {
  const audio = new AudioContext();
  const tone = audio.createOscillator();
  tone.connect(audio.destination);
  tone.start();
  tone.stop(audio.currentTime + 0.15);
}

// --- moving

function go(address) {
  history.pushState(null, "", address);
  say("");
  show(true);
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href^='/']");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  go(link.getAttribute("href"));
});
window.addEventListener("popstate", () => show(true));

const help = document.getElementById("help");
document.getElementById("help-open").addEventListener("click", () => help.showModal());

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, dialog[open]")) return;
  const plans = [...main.querySelectorAll(".plan")];
  const place = plans.findIndex((plan) => plan.dataset.id === selected);
  if (event.key === "j" || event.key === "k") {
    const next = plans[Math.min(Math.max(place + (event.key === "j" ? 1 : -1), 0), plans.length - 1)];
    if (!next) return;
    selected = next.dataset.id;
    plans.forEach((plan) => plan.classList.toggle("selected", plan === next));
    next.querySelector("a").focus();
  } else if (event.key === "Enter" && selected && !operationId() && event.target === document.body) go(`/op/${selected}`);
  else if (event.key === "a") main.querySelector("#approve-passphrase")?.focus() ?? open();
  else if (event.key === "r") main.querySelector(".reject")?.focus() ?? open();
  else if (event.key === "q") go("/");
  else if (event.key === "?") help.showModal();
  else return;
  event.preventDefault();
});

function open() {
  if (selected && !operationId()) go(`/op/${selected}`);
}

onChange((number) => {
  if (number === null) signedOut();
  else if (number === -1) say("The desk or its store does not answer. What is shown may be out of date.");
  else if (number !== shown.drawn) {
    if (said.textContent.startsWith("The desk or its store")) say("");
    shown.drawn = number;
    show();
  }
});
setInterval(() => tick(offset), 1000);
start().catch((error) => say(error.message));
