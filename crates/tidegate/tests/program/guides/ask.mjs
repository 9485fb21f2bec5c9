// Verifies tokens with the guide's code for Node.js: `ask.mjs ISSUER`, one token a line; answers one line of JSON to each.
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const { verifier } = await import(pathToFileURL(`${process.cwd()}/verify_token.mjs`));
const verify = await verifier(process.argv[2]);
console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  try {
    console.log(JSON.stringify({ claims: await verify(line.trim()) }));
  } catch (error) {
    console.log(JSON.stringify({ refused: String(error) }));
  }
}
