// Verifies tokens with the guide's code for Node.js: `ask.mjs ISSUER`, { token, scopes, bound } a line; answers one line of JSON to each.
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const { verifier } = await import(pathToFileURL(`${process.cwd()}/verify_token.mjs`));
const verify = await verifier(process.argv[2]);
console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  try {
    const { token, ...accepted } = JSON.parse(line);
    console.log(JSON.stringify({ claims: await verify(token, accepted) }));
  } catch (error) {
    console.log(JSON.stringify({ refused: String(error) }));
  }
}
