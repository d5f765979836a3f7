// Requests to the desk. The token lives in this tab; another tab of this very origin may be asked for it.

const KEY = "desk-token";
const channel = new BroadcastChannel("desk");
const waiting = [];

channel.addEventListener("message", ({ data }) => {
  if (data.ask === "token" && token()) channel.postMessage({ token: token() });
  if (data.token && !token()) keep(data.token);
  if (data.token) waiting.splice(0).forEach((done) => done());
  if (data.number !== undefined) listeners.forEach((listener) => listener(data.number));
});

const listeners = [];
export const onChange = (listener) => listeners.push(listener);

export const token = () => sessionStorage.getItem(KEY);
export const keep = (value) => sessionStorage.setItem(KEY, value);
export const forget = () => sessionStorage.removeItem(KEY);

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

function headers(byPerson) {
  const sent = { "X-Desk-Token": token() ?? "" };
  if (byPerson) sent["X-Desk-Person"] = "1";
  return sent;
}

async function checked(response) {
  if (response.ok) return response;
  let said = `The desk answered ${response.status}.`;
  try {
    said = (await response.json()).error ?? said;
  } catch { /* not JSON: the status says enough */ }
  throw new Refused(response.status, said);
}

async function request(path, options) {
  try {
    return await checked(await fetch(path, { cache: "no-store", credentials: "same-origin", ...options }));
  } catch (error) {
    if (error instanceof Refused) throw error;
    throw new Refused(0, "The desk does not answer. Whether a decision arrived is not known: look at the plan again.");
  }
}

export const read = async (path, byPerson = false) => (await request(path, { headers: headers(byPerson) })).json();

export async function picture(path) {
  const response = await request(path, { headers: headers(false) });
  return URL.createObjectURL(await response.blob());
}

export const send = async (method, path, body) => (await request(path, {
  method,
  headers: { ...headers(true), "Content-Type": "application/json" },
  body: JSON.stringify(body ?? {}),
})).json();

// One tab holds the stream and tells the others, so that many tabs do not use up the browser's connections.
export function listen() {
  navigator.locks.request("desk-stream", async () => {
    for (;;) {
      try {
        const response = await request("/api/events", { headers: headers(false) });
        await follow(response.body.getReader());
      } catch (error) {
        if (error.status === 401) {
          listeners.forEach((listener) => listener(null));
          return;
        }
        listeners.forEach((listener) => listener(-1));
      }
      await new Promise((done) => setTimeout(done, 1000));
    }
  });
}

async function follow(reader) {
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += decoder.decode(value, { stream: true });
    const events = text.split("\n\n");
    text = events.pop();
    for (const event of events) {
      if (event.startsWith("event: over")) throw new Refused(401, "Signed out.");
      const { number } = JSON.parse(event.slice("data: ".length));
      listeners.forEach((listener) => listener(number));
      channel.postMessage({ number });
    }
  }
}
