// Telling a person who looks elsewhere: the tab's title, a notification, a sound. Nothing here decides anything.

import { foreign, h } from "./dom.js";

const halted = document.getElementById("halted");
const said = document.getElementById("said");
let seen = null;
let waits = 0;

export const say = (text) => { said.textContent = text; };
export const isSaid = (text) => said.textContent === text;

export const haltWords = ({ scope, by, reason }) =>
  ["HALTED", ...(scope ? [": ", foreign(scope), ","] : []), " by ", foreign(by), ": ", foreign(reason), " "];

export function noticed({ waiting, halts }) {
  halted.hidden = !halts.length;
  const digests = halts.map((halt) => halt.digest).join();
  if ((halted.dataset.digest ?? "") !== digests) halted.replaceChildren(...halts.map((halt) => h("span", {}, ...haltWords(halt))));
  halted.dataset.digest = digests;
  const asked = waiting.filter((plan) => plan.asked);
  waits = asked.length;
  const fresh = seen ? asked.filter((plan) => !seen.has(plan.id)) : [];
  seen = new Set(asked.map((plan) => plan.id));
  if (!fresh.length) return;
  say(fresh.length === 1 ? "A new plan to decide." : `${fresh.length} new plans to decide.`);
  if (localStorage.getItem("desk-sound") === "yes") beep();
  if (document.hidden && "Notification" in window && Notification.permission === "granted") {
    for (const plan of fresh.slice(0, 3)) new Notification(`${plan.mode}: a plan waits`, { body: plan.heading, tag: plan.id });
  }
}

// How many wait, and what this page shows: several tabs, and the pages behind the back button, are told apart by it.
export function entitle(heading) {
  document.title = `${waits ? `(${waits}) ` : ""}${heading} · Positions desk`;
}

// Asked for once: whatever the answer, the question does not come back by itself.
export function question() {
  if (!("Notification" in window) || Notification.permission !== "default" || localStorage.getItem("desk-notify")) return null;
  const answer = (yes) => () => {
    localStorage.setItem("desk-notify", "asked");
    asking.remove();
    if (yes) Notification.requestPermission();
  };
  const asking = h("p", { class: "asking" }, "Shall this browser tell you when a plan comes? ",
    h("button", { type: "button", onclick: answer(true) }, "Yes"), " ", h("button", { type: "button", onclick: answer(false) }, "No"));
  return asking;
}

export function options() {
  const sound = h("input", { id: "sound", type: "checkbox" });
  sound.checked = localStorage.getItem("desk-sound") === "yes";
  sound.addEventListener("change", () => localStorage.setItem("desk-sound", sound.checked ? "yes" : "no"));
  const notify = h("button", { type: "button", onclick: () => Notification.requestPermission() }, "Notify me of new plans");
  return h("section", {}, h("h2", {}, "This browser"), sound, h("label", { for: "sound" }, "Sound at a new plan"), " ", notify);
}

function beep() {
  const audio = new AudioContext();
  const tone = audio.createOscillator();
  tone.connect(audio.destination);
  tone.onended = () => audio.close();
  tone.start();
  tone.stop(audio.currentTime + 0.15);
}
