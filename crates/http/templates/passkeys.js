// Registers a passkey and signs in with it. The options come from the API as the browser's own parsers take them, and its answers go
// back as toJSON() writes them.

const said = document.querySelector("#said");
const value = (name) => document.querySelector(`[name=${name}]`).value;

async function call(path, body, token) {
  const headers = { "content-type": "application/json" };
  if (token) headers.authorization = `Bearer ${token}`;
  const answer = await fetch(`/api/v1/${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  const { success, data, error } = await answer.json();
  if (!success) throw new Error(`${error.code}: ${error.message}`);
  return data;
}

async function assert(email) {
  const options = await call("webauthn/authenticate/start", { email });
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  const credential = await navigator.credentials.get({ publicKey });
  const signedIn = await call("webauthn/authenticate/complete", { email, credential: credential.toJSON() });
  return `Signed in as ${signedIn.email}.`;
}

const actions = {
  async register() {
    const { access_token } = await call("auth/login", { email: value("email"), password: value("password") });
    if (!access_token) throw new Error("This account must show a second factor, or its address, first.");
    const name = { device_name: "This browser" };
    const options = await call("webauthn/register/start", name, access_token);
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
    const credential = await navigator.credentials.create({ publicKey });
    await call("webauthn/register/complete", { ...name, credential: credential.toJSON() }, access_token);
    return "Passkey registered.";
  },
  signIn: () => assert(value("email")),
  signInWithoutAddress: () => assert(null),
};

for (const button of document.querySelectorAll("[data-do]")) {
  button.addEventListener("click", async () => {
    said.textContent = "";
    try {
      said.textContent = await actions[button.dataset.do]();
    } catch (error) {
      said.textContent = error.message;
    }
  });
}
