// openid-client walks every flow that it knows: `openid_client.mjs SETTINGS`, SETTINGS as `settings.mjs` reads them.
import assert from "node:assert/strict";
import * as oidc from "openid-client";
import { approved, approvedDevice, settings } from "./settings.mjs";

const { issuer, confidential, publicClient, redirectUri, person } = settings;
const insecure = { execute: [oidc.allowInsecureRequests] };
const byBasic = await oidc.discovery(
  new URL(issuer), confidential.id, {}, oidc.ClientSecretBasic(confidential.secret), insecure,
);
const byPost = await oidc.discovery(
  new URL(issuer), confidential.id, {}, oidc.ClientSecretPost(confidential.secret), insecure,
);
const byNothing = await oidc.discovery(new URL(issuer), publicClient.id, {}, oidc.None(), insecure);

// Authorization code with PKCE, `state`, `nonce` and the issuer's name in the answer; the ID token is verified.
async function signIn(config, options = {}) {
  const verifier = oidc.randomPKCECodeVerifier();
  const [state, nonce] = [oidc.randomState(), oidc.randomNonce()];
  const parameters = {
    redirect_uri: redirectUri,
    scope: "openid profile email offline_access",
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    state,
    nonce,
  };
  const url = options.pushed
    ? await oidc.buildAuthorizationUrlWithPAR(config, parameters, { DPoP: options.DPoP })
    : oidc.buildAuthorizationUrl(config, parameters);
  if (options.pushed) assert.ok(url.searchParams.get("request_uri") && !url.searchParams.has("scope"), String(url));
  return oidc.authorizationCodeGrant(
    config, await approved(url),
    { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true },
    undefined, { DPoP: options.DPoP },
  );
}

for (const config of [byBasic, byPost, byNothing]) {
  const tokens = await signIn(config);
  const subject = tokens.claims().sub;
  const person_ = await oidc.fetchUserInfo(config, tokens.access_token, subject);
  assert.equal(person_.email, person.email);
  const refreshed = await oidc.refreshTokenGrant(config, tokens.refresh_token);
  assert.notEqual(refreshed.refresh_token, tokens.refresh_token);
  await oidc.fetchUserInfo(config, refreshed.access_token, subject);
  await oidc.tokenRevocation(config, refreshed.refresh_token);
  await assert.rejects(oidc.refreshTokenGrant(config, refreshed.refresh_token), { error: "invalid_grant" });
  await assert.rejects(oidc.fetchUserInfo(config, refreshed.access_token, subject));
}

// A confidential client may ask what a token is.
const tokens = await signIn(byBasic);
const known = await oidc.tokenIntrospection(byBasic, tokens.access_token);
assert.deepEqual([known.active, known.client_id, known.iss], [true, confidential.id, issuer]);
await oidc.tokenRevocation(byBasic, tokens.access_token);
assert.deepEqual(await oidc.tokenIntrospection(byBasic, tokens.access_token), { active: false });

// Client credentials.
const own = await oidc.clientCredentialsGrant(byBasic, { scope: "read" });
assert.equal((await oidc.tokenIntrospection(byBasic, own.access_token)).scope, "read");
await assert.rejects(oidc.clientCredentialsGrant(byBasic, { scope: "no-such-scope" }), { error: "invalid_scope" });

// Device grant.
if (settings.device) {
  const device = await oidc.initiateDeviceAuthorization(byNothing, { scope: "openid email" });
  const polled = oidc.pollDeviceAuthorizationGrant(byNothing, device);
  await approvedDevice(device);
  assert.ok((await polled).claims().sub);
}

// Pushed requests, and tokens bound to a key.
if (settings.pushed) await signIn(byBasic, { pushed: true });
if (settings.dpop) {
  const DPoP = oidc.getDPoPHandle(byNothing, await oidc.randomDPoPKeyPair("ES256"));
  const bound = await signIn(byNothing, { DPoP });
  assert.equal(bound.token_type, "dpop");
  const subject = bound.claims().sub;
  await oidc.fetchUserInfo(byNothing, bound.access_token, subject, { DPoP });
  await assert.rejects(oidc.fetchUserInfo(byNothing, bound.access_token, subject));
  const again = await oidc.refreshTokenGrant(byNothing, bound.refresh_token, undefined, { DPoP });
  await oidc.fetchUserInfo(byNothing, again.access_token, subject, { DPoP });
  await assert.rejects(oidc.refreshTokenGrant(byNothing, again.refresh_token));
}
