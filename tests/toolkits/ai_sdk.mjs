// `node ai_sdk.mjs COMMAND…` prints what the AI SDK makes of the server, as adapters.py does for the others.
import { createMCPClient } from "@ai-sdk/mcp";
import { Experimental_StdioMCPTransport } from "@ai-sdk/mcp/mcp-stdio";
import { asSchema } from "ai";

const [command, ...args] = process.argv.slice(2);
const client = await createMCPClient({ transport: new Experimental_StdioMCPTransport({ command, args }) });
const tools = await client.tools();
const schemas = {};
for (const [name, tool] of Object.entries(tools)) schemas[name] = await asSchema(tool.inputSchema).jsonSchema;

async function call(name, wanted = {}) {
  const nulls = Object.fromEntries(Object.keys(schemas[name].properties).map((each) => [each, null]));
  const answer = await tools[name].execute({ ...nulls, ...wanted }, { toolCallId: name, messages: [] });
  return answer.content[0].text;
}

const said = {
  list_positions: await call("list_positions"),
  summarize_positions: await call("summarize_positions"),
  preview_close: await call("preview_close", { instruments: ["KO"] }),
  close_positions: await call("close_positions", { instruments: ["KO"] }),
};
await client.close();
console.log(JSON.stringify({ tools: Object.keys(tools), said }));
