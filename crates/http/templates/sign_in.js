// Signs in with a passkey. Browsers offer passkeys to scripts alone; everything else on the page works without this one.

const form = document.querySelector("form[data-passkey]");
const said = form.querySelector("[data-failed]");
const isFirst = document.querySelector("#login") !== null;
let waiting = null;
let underWay = Promise.resolve();

async function challenge() {
  const body = new URLSearchParams({ csrf: form.dataset.options, flow: form.elements.flow.value });
  const answer = await fetch("/sign-in/passkey/options", { method: "POST", body });
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  return PublicKeyCredential.parseRequestOptionsFromJSON(await answer.json());
}

// Asks the authenticator and sends what it says. One request at a time: a second one ends the first, and waits until it has ended.
async function signIn(mediation) {
  waiting?.abort();
  waiting = new AbortController();
  underWay = ask(mediation, waiting.signal, underWay);
  return underWay;
}

async function ask(mediation, signal, before) {
  await before.catch(() => {});
  const publicKey = await challenge();
  if (signal.aborted) return;
  const credential = await navigator.credentials.get({ publicKey, mediation, signal });
  form.elements.credential.value = JSON.stringify(credential.toJSON());
  form.submit();
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  said.textContent = "";
  try {
    await signIn("optional");
  } catch {
    said.textContent = said.dataset.failed;
  }
});

if (window.PublicKeyCredential?.parseRequestOptionsFromJSON) {
  form.hidden = false;
  // Passkeys among what the browser fills into the first field, unless the button was pressed meanwhile: that request is the one to go on.
  if (isFirst && await PublicKeyCredential.isConditionalMediationAvailable?.() && waiting === null) {
    signIn("conditional").catch(() => {});
  }
}
