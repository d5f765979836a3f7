// A program over the client that is generated from the served specification: it reads, closes, instructs and cancels.
import createClient from "openapi-fetch";
import type { paths } from "./schema.js";

declare const process: { argv: string[] };
const [baseUrl, key] = process.argv.slice(2);
if (!baseUrl || !key) throw new Error("client.js URL KEY");
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${key}` } });
const path = { account_id: 19816 };

function sound<T>(answer: { data?: { data: T }; error?: unknown; response: Response }): T {
  if (answer.data === undefined) throw new Error(`${answer.response.status}: ${JSON.stringify(answer.error)}`);
  return answer.data.data;
}

const held = sound(await client.GET("/v1/accounts/{account_id}/positions", { params: { path, query: { page_size: 100 } } }));
const option = held.find((position) => position.symbol.startsWith("AMD   "));
if (!option) throw new Error("no AMD option is held");
const row = { instruction_type: "EXERCISE", instrument_id: option.instrument_id, quantity: "1" } as const;
const sent = sound(await client.POST("/v1/accounts/{account_id}/positions/instructions", { params: { path }, body: [row] }));
const id = sent[0]?.id ?? "";
const cancelled = sound(
  await client.DELETE("/v1/accounts/{account_id}/positions/instructions/{instruction_id}", {
    params: { path: { ...path, instruction_id: id } },
  }),
);
const listed = sound(await client.GET("/v1/accounts/{account_id}/positions/instructions", { params: { path } }));
const [order] = sound(
  await client.DELETE("/v1/accounts/{account_id}/positions/{instrument_id}", {
    params: { path: { ...path, instrument_id: "TSLA" } },
    body: { cancel_orders: false },
  }),
);
const again = sound(
  await client.GET("/v1/accounts/{account_id}/orders/{order_id}", { params: { path: { ...path, order_id: order?.id ?? "" } } }),
);
const closed = sound(await client.DELETE("/v1/accounts/{account_id}/positions", { params: { path }, body: { cancel_orders: true } }));
const missing = await client.GET("/v1/accounts/{account_id}/orders/{order_id}", { params: { path: { ...path, order_id: "none" } } });
console.log(
  JSON.stringify([held.length, cancelled.status, listed.some((one) => one.id === id), again.side, closed.length, missing.response.status]),
);
