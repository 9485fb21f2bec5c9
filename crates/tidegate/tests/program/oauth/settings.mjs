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

// A browser of the person: it keeps cookies and goes where it is sent.
const cookies = new Map();
async function visit(path, form) {
  const answer = await fetch(new URL(path, settings.issuer), {
    method: form ? "POST" : "GET",
    redirect: "manual",
    headers: { accept: "text/html", cookie: [...cookies].map((pair) => pair.join("=")).join("; ") },
    body: form,
  });
  for (const line of answer.headers.getSetCookie()) {
    const [, name, value] = /^([^=]*)=([^;]*)/.exec(line);
    cookies.set(name, value);
  }
  const to = answer.headers.get("location");
  if (to) return visit(to);
  const page = await answer.text();
  assert.equal(answer.status, 200, page);
  return page;
}

// Sends the first form of a page that goes to `action`, with what is typed.
function submit(page, action, typed) {
  const inside = page.split(`action="${action}"`)[1].split("</form>")[0];
  const form = new URLSearchParams();
  for (const [, name, value] of inside.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g)) form.set(name, value);
  for (const [name, value] of Object.entries(typed)) form.set(name, value);
  return visit(action, form);
}

// The person types the code that a device shows, and agrees.
export async function approvedDevice({ user_code }) {
  let page = await visit("/device");
  if (page.includes('action="/sign-in"')) {
    page = await submit(page, "/sign-in", { login: settings.person.email, password: settings.person.password });
  }
  page = await submit(page, "/device", { user_code: user_code.toLowerCase() });
  assert.ok((await submit(page, "/device", { choice: "allow" })).includes("Device connected"));
}
