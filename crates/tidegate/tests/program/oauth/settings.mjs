// What the walks are told, and the person who is asked: reads the JSON that the first argument is.
import assert from "node:assert/strict";

export const settings = JSON.parse(process.argv[2]);

// The person signs in and agrees: the address the browser is sent to.
export async function approved(url) {
  const form = new URLSearchParams(url.searchParams);
  form.set("approve", "true");
  const answer = await fetch(url.origin + url.pathname, {
    method: "POST",
    redirect: "manual",
    headers: { authorization: `Bearer ${settings.person.token}` },
    body: form,
  });
  assert.equal(answer.status, 302, await answer.text());
  return new URL(answer.headers.get("location"));
}

// The person types the code that a device shows, and agrees.
export async function approvedDevice({ user_code }) {
  const answer = await fetch(`${settings.issuer}/api/v1/oauth/device`, {
    method: "POST",
    headers: { authorization: `Bearer ${settings.person.token}`, "content-type": "application/json" },
    body: JSON.stringify({ user_code, approve: true }),
  });
  assert.equal(answer.status, 200, await answer.text());
}
