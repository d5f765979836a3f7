// What is said to the host and heard from it. The page asks for two things only: to begin, and to open the desk's page
// when somebody clicks. It calls no tool, and there is no other way out of it.
const waiting = new Map();

// A host that puts its own head before the page's leaves the policy in the body, where it would not count.
document.head.append(document.querySelector("#policy"));
let asked = 0;
let size = "";

const send = (message) => parent.postMessage({ jsonrpc: "2.0", ...message }, "*");

const ask = (method, params) => new Promise((resolve, reject) => {
  waiting.set(++asked, { resolve, reject });
  send({ id: asked, method, params });
});

function tellSize() {
  const params = { width: innerWidth, height: Math.ceil(document.documentElement.getBoundingClientRect().height) };
  if (size !== (size = JSON.stringify(params))) send({ method: "ui/notifications/size-changed", params });
}

// `hears` has what is done at each notification, by method.
async function meetHost(hears) {
  addEventListener("message", ({ source, data }) => {
    if (source !== parent || data?.jsonrpc !== "2.0") return;
    const { id, method, params, result, error } = data;
    if (method && id === undefined) {
      if (Object.hasOwn(hears, method)) hears[method](params ?? {});
    } else if (method) {
      const isKnown = ["ping", "ui/resource-teardown"].includes(method);
      send(isKnown ? { id, result: {} } : { id, error: { code: -32601, message: "not done here" } });
    } else if (error || result?.isError) waiting.get(id)?.reject();
    else waiting.get(id)?.resolve(result);
  });
  const appInfo = { name: "positions-mcp", version: "1" };
  const host = await ask("ui/initialize", { appInfo, appCapabilities: {}, protocolVersion: "2026-01-26" });
  send({ method: "ui/notifications/initialized" });
  new ResizeObserver(tellSize).observe(document.documentElement);
  return host;
}

const openPage = (url) => ask("ui/open-link", { url });
