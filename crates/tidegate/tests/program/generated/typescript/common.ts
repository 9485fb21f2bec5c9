// What the walks of both generators have in common.
import { execFileSync } from "node:child_process";

export const PASSWORD = "Correct1horse!";

/** What an operator does beside the server. TIDEGATE names the program. */
export function tidegate(args: string[], input = ""): string {
  return execFileSync(process.env.TIDEGATE!, args, { input, encoding: "utf8" }).trim();
}

export function codeSentTo(recipient: string): string {
  return tidegate(["outbox", "code", "--to", recipient]);
}

/** An answer of a generated client. */
interface Answer<T> {
  data?: T;
  error?: unknown;
  response?: Response;
}

/** The data of an answer that must have this status. */
export async function expect<T>(status: number, call: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await call;
  if (response?.status !== status) {
    throw new Error(`${response?.url}: ${response?.status} instead of ${status}: ${JSON.stringify(error)}`);
  }
  return data as T;
}

export function assert(holds: unknown, what: string): asserts holds {
  if (!holds) throw new Error(what);
}
