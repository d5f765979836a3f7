// Requests to the desk, and what it pushes. The token lives in this tab; other tabs of this very origin share it.

const KEY = "desk-token";
const SILENCE_MS = 30_000; // three heartbeats
const channel = new BroadcastChannel("desk");
const listeners = { number: [], over: [], token: [] };
const waiting = [];

// "number": the store changed, or cannot be read (-1). "token": another tab signed in. "over": the session ended.
export const on = (what, listener) => listeners[what].push(listener);
const tell = (what, value) => listeners[what].forEach((listener) => listener(value));

channel.addEventListener("message", ({ data }) => {
  if (data.ask === "token" && token()) channel.postMessage({ token: token() });
  // What another tab answers is taken where there is none; a token of a new session replaces the one that ended.
  if (data.token && data.token !== token() && (data.fresh || !token())) {
    sessionStorage.setItem(KEY, data.token);
    tell("token");
  }
  if (data.token) waiting.splice(0).forEach((done) => done());
  if (data.number !== undefined) tell("number", data.number);
  if (data.over && data.over === token()) {
    sessionStorage.removeItem(KEY);
    tell("over");
  }
});

export const token = () => sessionStorage.getItem(KEY);

export function keep(fresh) {
  sessionStorage.setItem(KEY, fresh);
  channel.postMessage({ token: fresh, fresh: true });
}

// The session has ended: every tab that shared it is told.
export function over() {
  const old = token();
  if (old === null) return;
  sessionStorage.removeItem(KEY);
  channel.postMessage({ over: old });
  tell("over");
}

export function askOtherTabs() {
  if (token()) return Promise.resolve();
  return new Promise((done) => {
    waiting.push(done);
    setTimeout(done, 150);
    channel.postMessage({ ask: "token" });
  });
}

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function checked(response) {
  if (response.ok) return response;
  let said = `The desk answered ${response.status}.`;
  try {
    said = (await response.json()).error ?? said;
  } catch { /* not JSON: the status says enough */ }
  throw new Refused(response.status, said);
}

async function request(path, { byPerson = false, ...options } = {}) {
  const used = token();
  const headers = { "X-Desk-Token": used ?? "", ...(byPerson ? { "X-Desk-Person": "1" } : {}), ...options.headers };
  try {
    return await checked(await fetch(path, { cache: "no-store", credentials: "same-origin", ...options, headers }));
  } catch (error) {
    if (!(error instanceof Refused)) {
      const lost = options.method ? " Whether a decision arrived is not known: look at the plan again." : "";
      throw new Refused(0, `The desk does not answer.${lost}`);
    }
    // Another tab signed in while this was on its way: its answer was about the session before.
    if (error.status === 401 && used && token() && token() !== used) return request(path, { byPerson, ...options });
    throw error;
  }
}

export const read = async (path, byPerson = false) => (await request(path, { byPerson })).json();

export const picture = async (path) => URL.createObjectURL(await (await request(path)).blob());

export const send = async (method, path, body) => (await request(path, {
  method, byPerson: true, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body ?? {}),
})).json();

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// One tab holds the stream and tells the others, so that many tabs do not use up the browser's connections. A tab waits
// for its turn once, however often somebody signs in.
let listening = false;
export function listen() {
  if (listening) return;
  listening = true;
  navigator.locks.request("desk-stream", streams).finally(() => { listening = false; });
}

async function streams() {
  while (token()) {
    try {
      await stream();
    } catch (error) {
      if (error.status === 401) return over();
      heard(-1);
    }
    await pause(1000);
  }
}

function heard(number) {
  tell("number", number);
  channel.postMessage({ number });
}

async function stream() {
  const silent = new AbortController();
  const response = await request("/api/events", { signal: silent.signal });
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const alarm = setTimeout(() => silent.abort(), SILENCE_MS);
    const { done, value } = await reader.read().finally(() => clearTimeout(alarm));
    if (done) return;
    text += decoder.decode(value, { stream: true });
    const events = text.split("\n\n");
    text = events.pop();
    for (const event of events) {
      if (event.startsWith("event: over")) throw new Refused(401, "Signed out.");
      heard(JSON.parse(event.slice("data: ".length)).number);
    }
  }
}
