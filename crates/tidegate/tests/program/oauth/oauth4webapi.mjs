// oauth4webapi, which leaves every check to its caller's choice and refuses what the standards do not allow: see settings.mjs.
import assert from "node:assert/strict";
import * as oauth from "oauth4webapi";
import { approved, approvedDevice, settings } from "./settings.mjs";

const { issuer, confidential, publicClient, redirectUri, person } = settings;
const insecure = { [oauth.allowInsecureRequests]: true };
const url = new URL(issuer);

// Both documents say the same of what both speak about.
const server = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, insecure));
const plain = await oauth.processDiscoveryResponse(
  url, await oauth.discoveryRequest(url, { algorithm: "oauth2", ...insecure }),
);
for (const [name, value] of Object.entries(plain)) assert.deepEqual(server[name], value, name);

const client = { client_id: confidential.id };
const secret = oauth.ClientSecretBasic(confidential.secret);
const verifier = oauth.generateRandomCodeVerifier();
const [state, nonce] = [oauth.generateRandomState(), oauth.generateRandomNonce()];
const request = new URL(server.authorization_endpoint);
for (const [name, value] of Object.entries({
  client_id: client.client_id,
  redirect_uri: redirectUri,
  response_type: "code",
  scope: "openid email offline_access",
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
  state,
  nonce,
})) {
  request.searchParams.set(name, value);
}
// Checks `iss` (RFC 9207) and `state`.
const answered = oauth.validateAuthResponse(server, client, await approved(request), state);
const tokens = await oauth.processAuthorizationCodeResponse(
  server, client,
  await oauth.authorizationCodeGrantRequest(server, client, secret, answered, redirectUri, verifier, insecure),
  { expectedNonce: nonce, requireIdToken: true },
);
const { sub } = oauth.getValidatedIdTokenClaims(tokens);
const userinfo = await oauth.processUserInfoResponse(
  server, client, sub, await oauth.userInfoRequest(server, client, tokens.access_token, insecure),
);
assert.equal(userinfo.email, person.email);

// The access token is a JWT as RFC 9068 has it, verified with the published keys.
const asked = new Request("http://resource.example/", { headers: { authorization: `Bearer ${tokens.access_token}` } });
const audience = JSON.parse(Buffer.from(tokens.access_token.split(".")[1], "base64url")).aud;
const claims = await oauth.validateJwtAccessToken(server, asked, [audience].flat()[0], insecure);
assert.deepEqual([claims.client_id, claims.sub], [client.client_id, sub]);

// The same code a second time: refused, and what it gave is taken back.
const repeated = await oauth.authorizationCodeGrantRequest(server, client, secret, answered, redirectUri, verifier, insecure);
await assert.rejects(oauth.processAuthorizationCodeResponse(server, client, repeated), { error: "invalid_grant" });
const introspected = await oauth.processIntrospectionResponse(
  server, client, await oauth.introspectionRequest(server, client, secret, tokens.access_token, insecure),
);
assert.equal(introspected.active, false);
const refreshed = await oauth.refreshTokenGrantRequest(server, client, secret, tokens.refresh_token, insecure);
await assert.rejects(oauth.processRefreshTokenResponse(server, client, refreshed), { error: "invalid_grant" });

const own = await oauth.processClientCredentialsResponse(
  server, client, await oauth.clientCredentialsGrantRequest(server, client, secret, { scope: "read" }, insecure),
);
await oauth.processRevocationResponse(
  await oauth.revocationRequest(server, client, secret, own.access_token, insecure),
);

// A device, whose tokens are bound to its key.
const television = { client_id: publicClient.id };
const nothing = oauth.None();
const DPoP = oauth.DPoP(television, await oauth.generateKeyPair("ES256"));
const asked_ = await oauth.processDeviceAuthorizationResponse(
  server, television, await oauth.deviceAuthorizationRequest(server, television, nothing, { scope: "openid email" }, insecure),
);
const poll = async () => oauth.processDeviceCodeResponse(
  server, television,
  await oauth.deviceCodeGrantRequest(server, television, nothing, asked_.device_code, { DPoP, ...insecure }),
);
await assert.rejects(poll(), { error: "authorization_pending" });
await approvedDevice(asked_);
const bound = await poll();
assert.equal(bound.token_type, "dpop");
const subject = oauth.getValidatedIdTokenClaims(bound).sub;
const known = await oauth.processUserInfoResponse(
  server, television, subject, await oauth.userInfoRequest(server, television, bound.access_token, { DPoP, ...insecure }),
);
assert.equal(known.email, person.email);
const resource = new URL(server.userinfo_endpoint);
await assert.rejects(
  oauth.protectedResourceRequest(bound.access_token, "GET", resource, undefined, undefined, insecure),
  oauth.WWWAuthenticateChallengeError,
);
// The token is what RFC 9449 says, verified by who is called with it.
const called = new Request(resource, { headers: { authorization: `DPoP ${bound.access_token}` } });
await assert.rejects(oauth.validateJwtAccessToken(server, called, issuer, insecure));
