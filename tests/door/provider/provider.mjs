// An authorization server for tests: oidc-provider as its users configure it, at a free port of this machine.
// Says {"issuer": …} on standard output; takes one command a line on standard input and says {"done": …}.
import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import Provider from "oidc-provider";

const { resources, client } = JSON.parse(process.argv[2]);
const scope = "positions:read positions:plan positions:ask";
let keys = 0;
let down = false;
let asked = [];
let handle;

function key() {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  keys += 1;
  return { ...privateKey.export({ format: "jwk" }), kid: `key-${keys}`, alg: "RS256", use: "sig" };
}

function begin(issuer) {
  const provider = new Provider(issuer, {
    cookies: { keys: ["of a test"] },
    jwks: { keys: [key()] },
    scopes: ["openid", "offline_access", ...scope.split(" ")],
    extraTokenClaims: () => ({ groups: ["desk"] }),
    // The client's document has a public https address, which no test has: it is handed over here instead.
    fetch: async (url, options) => (String(url) === client.client_id ? Response.json(client) : fetch(url, options)),
    features: {
      clientIdMetadataDocument: { enabled: true, ack: "draft-02" },
      registration: { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: (_, resource) => {
          if (!resources.includes(resource) && !resource.startsWith("https://localhost:")) throw new Error("invalid_target");
          return { scope, audience: resource, accessTokenFormat: "jwt", accessTokenTTL: 600 };
        },
      },
    },
  });
  provider.on("server_error", (_, error) => console.error(error));
  handle = provider.callback();
}

const server = createServer((request, response) => {
  asked.push(request.url.split("?")[0]);
  if (down) response.writeHead(503).end();
  else handle(request, response);
});
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  begin(issuer);
  console.log(JSON.stringify({ issuer }));
  createInterface({ input: process.stdin }).on("line", (command) => {
    if (command === "rotate") begin(issuer);
    if (command === "down") down = true;
    if (command === "up") down = false;
    const done = command === "asked" ? asked : command;
    if (command === "asked") asked = [];
    console.log(JSON.stringify({ done }));
  }).on("close", () => process.exit(0));
});
