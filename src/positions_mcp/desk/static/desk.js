// The desk: shows the page of the address, draws it anew when the store changes, and takes decisions.

import { approvers } from "./approvers.js";
import { h, setClock, tick, today } from "./dom.js";
import { changed, decision, end, halting, resumption, settlement } from "./forms.js";
import { isSelected, keepingFocus, listenToKeys } from "./keys.js";
import { mandates } from "./mandates.js";
import { entitle, isSaid, noticed, options, question, say } from "./notice.js";
import { know } from "./passkeys.js";
import { on, pause, read } from "./requests.js";
import { signedOut, start } from "./session.js";
import * as views from "./views.js";
import { withdrawals } from "./withdrawal.js";

const LOADING = "Loading…";
const SLOW_MS = 500;
const AWAY = "The desk or its store does not answer. What is shown may be out of date.";
const content = document.getElementById("content");
let shown = { address: "", text: "", day: "" };
let drawn = null;

const address = () => location.pathname + location.search;
const operationId = () => location.pathname.match(/^\/op\/([^/]+)$/)?.[1];
const about = (id) => `/api/operations/${encodeURIComponent(decodeURIComponent(id))}`;
const put = (element, children) => element.replaceChildren(...children.flat(2).filter(Boolean));

// --- showing: one drawing at a time, and at most one more to come

let drawing = null;
let wanted = false;
let moved = false;
function show(byPerson = false) {
  wanted = true;
  moved ||= byPerson;
  drawing ??= drawAll().finally(() => { drawing = null; });
  return drawing;
}

async function drawAll() {
  while (wanted) {
    const byPerson = moved;
    wanted = moved = false;
    const slow = setTimeout(() => { if (shown.address !== address()) say(LOADING); }, SLOW_MS);
    try {
      await draw(byPerson);
      entitle(content.querySelector("h1").textContent);
    } catch (error) {
      if (error.status === 401) return signedOut();
      drawn = null; // what could not be drawn is drawn when the desk is heard again
      if (error.status && shown.address !== address()) put(content, [h("h1", {}, "This cannot be shown"), h("p", {}, error.message)]);
      else say(error.message);
    } finally {
      clearTimeout(slow);
      if (isSaid(LOADING)) say("");
    }
  }
}

async function draw(byPerson) {
  const at = address();
  const isNew = shown.address !== at;
  for (const link of document.querySelectorAll("#pages a")) {
    if (link.pathname === location.pathname) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const waiting = await read("/api/queue", byPerson);
  setClock(waiting.now);
  noticed(waiting);
  know(waiting.passkeys);
  const page = await prepared(waiting, isNew);
  if (address() !== at) return;
  const text = JSON.stringify({ ...page.data, now: null });
  if (isNew || text !== shown.text || shown.day !== today()) keepingFocus(page.draw);
  shown = { address: at, text, day: today() };
  tick();
  if (isNew && byPerson) document.getElementById("main").focus({ preventScroll: true });
}

// What the page of the address is drawn from, and how. Nothing is touched before all of it is there.
async function prepared(waiting, isNew) {
  const id = operationId();
  if (id) {
    const data = await read(about(id));
    if (data.moving) look(id);
    return { data, draw: () => drawStory(id, data, isNew) };
  }
  if (location.pathname === "/history") {
    const data = await read(`/api/operations${location.search}`);
    return { data, draw: () => drawHistory(data, isNew) };
  }
  if (location.pathname === "/state") {
    const data = { ...(await read("/api/state")), roster: await read("/api/approvers") };
    data.withdrawal = data.halts.length ? await read("/api/withdrawal") : null;
    return { data, draw: () => drawState(data, isNew) };
  }
  if (location.pathname === "/mandates") {
    const data = await read("/api/mandates");
    return { data, draw: () => mandates(content, data, show) };
  }
  if (location.pathname.startsWith("/book")) return preparedBook(isNew);
  return { data: waiting, draw: () => put(content, [question(), ...views.queue(waiting, isSelected)]) };
}

// --- the pages

function drawStory(id, plan, isNew) {
  if (isNew || !content.querySelector("#story")) {
    const pictured = h("div", { id: "picture" });
    put(content, [h("div", { id: "story" }), pictured, h("div", { id: "forms" })]);
    views.drawn(`${about(id)}/share.svg`, "Share of the account that this plan is about")
      .then((figure) => pictured.replaceChildren(figure));
    if (plan.can_decide) content.querySelector("#forms").append(decision(plan, show));
  }
  const wasOpen = content.querySelector("#story details")?.open;
  put(content.querySelector("#story"), views.story(plan));
  if (wasOpen) content.querySelector("#story details").open = true;
  refreshForms(plan);
}

function refreshForms(plan) {
  const forms = content.querySelector("#forms");
  const deciding = forms.querySelector(".decision");
  if (deciding && !deciding.querySelector(".approve").disabled) {
    if (!plan.can_decide) end(deciding, `It is ${views.stateWords(plan.state)} now.`);
    else if (plan.digest !== deciding.dataset.digest) end(deciding, "This is no longer the plan that was shown: open it again.");
  }
  for (const doubt of plan.doubtful) {
    const form = forms.querySelector(`.settlement[data-row="${doubt.row}"]`);
    if (!form) forms.append(settlement(plan, doubt, show));
    else if (form.dataset.digest !== doubt.digest) changed(form, doubt);
  }
  const doubtful = new Set(plan.doubtful.map((doubt) => String(doubt.row)));
  for (const form of forms.querySelectorAll(".settlement")) {
    if (!doubtful.has(form.dataset.row)) end(form, "It is settled.");
  }
}

// What was sent is followed while this page shows it: the desk reads the account again, once a second at most.
let looking = null;
async function look(id) {
  if (looking === id) return;
  looking = id;
  while (looking === id && operationId() === id && !content.hidden) {
    await pause(1000);
    if (document.hidden) continue;
    try {
      const plan = await read(`${about(id)}/follow`);
      if (operationId() !== id || shown.address !== address()) continue;
      const text = JSON.stringify({ ...plan, now: null });
      if (text !== shown.text) keepingFocus(() => drawStory(id, plan, false));
      shown.text = text;
      if (!plan.moving) break;
    } catch (error) {
      if (error.status === 401) signedOut();
      else say(error.message);
      await pause(1000);
    }
  }
  if (looking === id) looking = null;
}

function drawHistory(data, isNew) {
  if (!content.querySelector("#filters")) {
    put(content, [h("h1", {}, "History"), h("div", { id: "doubts" }), views.filters(data, new URLSearchParams(location.search), go), h("div", { id: "results" })]);
  } else if (isNew) content.querySelector("#filters").replaceWith(views.filters(data, new URLSearchParams(location.search), go));
  put(content.querySelector("#doubts"), views.doubts(data));
  put(content.querySelector("#results"), views.history(data, location.search));
}

function drawState(data, isNew) {
  if (isNew || !content.querySelector("#facts")) put(content, [h("div", { id: "withdrawal" }), h("div", { id: "facts" }), options(), h("div", { id: "resume" }), h("div", { id: "roster" })]);
  put(content.querySelector("#facts"), views.state(data));
  withdrawals(content.querySelector("#withdrawal"), data.withdrawal, show);
  const resume = content.querySelector("#resume");
  const shown = [...resume.children].map((form) => form.dataset.digest).join();
  const roster = content.querySelector("#roster");
  if (roster.firstChild?.dataset.digest !== data.roster.digest) roster.replaceChildren(approvers(data.roster, show));
  if (shown !== data.halts.map((halt) => halt.digest).join()) resume.replaceChildren(...data.halts.map((halt) => resumption(halt, show)));
}

async function preparedBook(isNew) {
  const { accounts } = await read("/api/state");
  const account = location.pathname.match(/^\/book\/(\d+)$/)?.[1] ?? accounts[0]?.account;
  if (!account) return { data: {}, draw: () => put(content, [h("h1", {}, "No account is configured")]) };
  const data = await read(`/api/accounts/${account}/book`);
  return { data, draw: () => drawBook(account, accounts, data, isNew) };
}

function drawBook(account, accounts, data, isNew) {
  if (isNew || !content.querySelector("#positions")) put(content, [h("div", { id: "positions" }), h("div", { id: "pictures" })]);
  put(content.querySelector("#positions"), views.book(account, accounts, data));
  read(`/api/accounts/${account}/pictures`)
    .then((drawn) => content.querySelector("#pictures")?.replaceChildren(...views.figures(drawn)))
    .catch((error) => say(error.message));
}

// --- moving

function go(to) {
  history.pushState(null, "", to);
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
document.addEventListener("visibilitychange", () => { if (!document.hidden && !content.hidden) show(); });
document.getElementById("halt").addEventListener("click", () => halting(show, () => go("/state")));
listenToKeys(go);

on("number", (number) => {
  if (number === -1) return say(AWAY);
  if (isSaid(AWAY)) say("");
  if (number === drawn) return;
  drawn = number;
  if (!content.hidden) show();
});
setInterval(() => { if ((tick() || shown.day !== today()) && !content.hidden) show(); }, 1000);
// That a server has ended is no change of the store: whether one is alive to send is looked at now and then.
setInterval(() => {
  if (!document.hidden && !content.hidden && (operationId() || location.pathname === "/state")) show();
}, 10_000);
start(() => { shown.text = ""; show(true); }).catch((error) => say(`${error.message} Load this page again.`));
