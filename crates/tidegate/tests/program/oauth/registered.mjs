// Clients that register themselves, prove who they are in every way, and push and sign their requests, with openid-client and
// oauth4webapi: `registered.mjs SETTINGS`, SETTINGS as `settings.mjs` reads them.
import assert from "node:assert/strict";
import * as oauth from "oauth4webapi";
import * as oidc from "openid-client";
import { approved, settings } from "./settings.mjs";

const { issuer, redirectUri, person } = settings;
const insecure = { execute: [oidc.allowInsecureRequests] };
const scope = "openid profile email";

async function keyPair(alg) {
  const { publicKey, privateKey } = await oauth.generateKeyPair(alg, { extractable: true });
  const jwk = await crypto.subtle.exportKey("jwk", publicKey);
  const kid = `key-${alg}`;
  const { kty, crv, x, y, n, e } = jwk;
  return { key: privateKey, kid, jwk: JSON.parse(JSON.stringify({ kty, crv, x, y, n, e, kid, alg, use: "sig" })) };
}

async function register(metadata, authentication) {
  return oidc.dynamicClientRegistration(
    new URL(issuer), { client_name: "Foreign", redirect_uris: [redirectUri], scope, ...metadata }, authentication, insecure,
  );
}

async function signIn(config, address) {
  const verifier = oidc.randomPKCECodeVerifier();
  const [state, nonce] = [oidc.randomState(), oidc.randomNonce()];
  const url = await address(config, {
    redirect_uri: redirectUri,
    scope,
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    state,
    nonce,
  });
  const tokens = await oidc.authorizationCodeGrant(
    config, await approved(url),
    { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true },
  );
  const header = JSON.parse(Buffer.from(tokens.id_token.split(".")[0], "base64url"));
  assert.equal(header.alg, config.clientMetadata().id_token_signed_response_alg);
  const told = await oidc.fetchUserInfo(config, tokens.access_token, tokens.claims().sub);
  assert.equal(told.email, person.email);
  const refreshed = await oidc.refreshTokenGrant(config, tokens.refresh_token);
  await oidc.tokenRevocation(config, refreshed.refresh_token);
}

const plain = async (config, parameters) => oidc.buildAuthorizationUrl(config, parameters);
const pushed = async (config, parameters) => {
  const url = await oidc.buildAuthorizationUrlWithPAR(config, parameters);
  assert.deepEqual([...url.searchParams.keys()].sort(), ["client_id", "request_uri"]);
  return url;
};

// Every way to prove who it is, every way to bring a request. RS256 where the client does not say (Registration, section 2).
const keys = { ES256: await keyPair("ES256"), RS256: await keyPair("RS256"), PS256: await keyPair("PS256") };
for (const [metadata, authentication] of [
  [{ token_endpoint_auth_method: "client_secret_basic" }, undefined],
  [{ token_endpoint_auth_method: "client_secret_post" }, undefined],
  [{ token_endpoint_auth_method: "client_secret_jwt" }, oidc.ClientSecretJwt()],
  [{ token_endpoint_auth_method: "none" }, oidc.None()],
  ...["ES256", "RS256", "PS256"].map((alg) => [
    { token_endpoint_auth_method: "private_key_jwt", jwks: { keys: [keys[alg].jwk] }, token_endpoint_auth_signing_alg: alg },
    oidc.PrivateKeyJwt({ key: keys[alg].key, kid: keys[alg].kid }),
  ]),
]) {
  const config = await register(metadata, authentication);
  assert.equal(config.clientMetadata().id_token_signed_response_alg, "RS256");
  await signIn(config, plain);
  await signIn(config, pushed);
}

// Signed requests, in the address and pushed, from a client that sends no others.
for (const alg of ["ES256", "RS256"]) {
  const { key, kid, jwk } = keys[alg];
  const config = await register(
    {
      token_endpoint_auth_method: "private_key_jwt", jwks: { keys: [jwk] }, id_token_signed_response_alg: "ES256",
      require_signed_request_object: true, request_object_signing_alg: alg,
    },
    oidc.PrivateKeyJwt({ key, kid }),
  );
  const signed = (config, parameters) => oidc.buildAuthorizationUrlWithJAR(config, parameters, { key, kid });
  await signIn(config, signed);
  await signIn(config, async (config, parameters) => {
    const request = (await signed(config, parameters)).searchParams.get("request");
    return oidc.buildAuthorizationUrlWithPAR(config, { request });
  });
  const unsigned = await plain(config, { redirect_uri: redirectUri, scope });
  const back = await approved(unsigned);
  assert.equal(back.searchParams.get("error"), "invalid_request");
}

// oauth4webapi reads, with its strict checks, what the endpoints answer.
const options = { [oauth.allowInsecureRequests]: true };
const server = await oauth.processDiscoveryResponse(new URL(issuer), await oauth.discoveryRequest(new URL(issuer), options));
const client = await oauth.processDynamicClientRegistrationResponse(
  await oauth.dynamicClientRegistrationRequest(server, { redirect_uris: [redirectUri], scope }, options),
);
const authentication = oauth.ClientSecretBasic(client.client_secret);
const answered = await oauth.processPushedAuthorizationResponse(
  server, client,
  await oauth.pushedAuthorizationRequest(
    server, client, authentication,
    { redirect_uri: redirectUri, response_type: "code", scope, state: "some state" }, options,
  ),
);
assert.ok(answered.expires_in >= 5 && answered.expires_in <= 600);
await assert.rejects(
  oauth.pushedAuthorizationRequest(server, client, authentication, { redirect_uri: "https://evil.example/" , response_type: "code" }, options)
    .then((response) => oauth.processPushedAuthorizationResponse(server, client, response)),
);

// The registration is managed with its token (RFC 7592).
const managed = (method, body) => fetch(client.registration_client_uri, {
  method, body: body && JSON.stringify(body),
  headers: { authorization: `Bearer ${client.registration_access_token}`, "content-type": "application/json" },
});
const read = await (await managed("GET")).json();
assert.equal(read.client_id, client.client_id);
const changed = await managed("PUT", { client_id: client.client_id, redirect_uris: [redirectUri], scope: "openid" });
assert.deepEqual([changed.status, (await changed.json()).scope], [200, "openid"]);
assert.equal((await managed("DELETE")).status, 204);
assert.equal((await managed("GET")).status, 401);
