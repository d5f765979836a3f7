// Counts tokens of the o200k vocabulary: a JSON list of texts on standard input, a JSON list of counts on standard output.
// The argument is the folder that gpt-tokenizer is installed in.
import { createRequire } from "node:module";

const { countTokens } = createRequire(`${process.argv[2]}/`)("gpt-tokenizer/encoding/o200k_base");

let input = "";
for await (const chunk of process.stdin) input += chunk;
// Words that look like control tokens are text here, not control.
const asText = { disallowedSpecial: new Set() };
console.log(JSON.stringify(JSON.parse(input).map((text) => countTokens(text, asText))));
