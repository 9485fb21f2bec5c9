// Walks each contract's flow with the types that openapi-typescript makes of its description, and openapi-fetch.
import createClient from "openapi-fetch";

import type { paths as CrossingMinds } from "./made/crossing_minds.js";
import type { paths as Ingestiq } from "./made/ingestiq.js";
import type { paths as Riven } from "./made/riven.js";
import type { paths as Rivergen } from "./made/rivergen.js";
import { PASSWORD, assert, codeSentTo, expect, tidegate } from "./common.js";

const baseUrl = process.argv[2]!;
const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });

async function rivergen() {
  const api = createClient<Rivergen>({ baseUrl });
  const email = "types@example.com";
  const { data: made } = await expect(201, api.POST("/api/v1/auth/signup", { body: { email, password: PASSWORD, display_name: "Ada" } }));
  const claim = { temporary_token: made.temporary_token, otp_code: codeSentTo(email) };
  const { data: verified } = await expect(200, api.POST("/api/v1/auth/verify-otp", { body: claim }));
  const { data: me } = await expect(200, api.GET("/api/v1/auth/me", { headers: bearer(verified.access_token) }));
  assert(me.user.primary_email === email, "another account");
  const { data: signedIn } = await expect(200, api.POST("/api/v1/auth/login", { body: { email, password: PASSWORD } }));
  assert("access_token" in signedIn, "no full sign-in");
  const refresh = { refresh_token: signedIn.refresh_token };
  const { data: tokens } = await expect(200, api.POST("/api/v1/auth/refresh", { body: refresh }));
  const headers = bearer(tokens.access_token);
  const { data: sessions } = await expect(200, api.GET("/api/v1/sessions", { headers }));
  assert(sessions.active_count === 2, "other sessions");
  await expect(401, api.POST("/api/v1/auth/login", { body: { email, password: "Wrong1horse" } }));
  await expect(204, api.POST("/api/v1/auth/logout", { headers }));
  await expect(401, api.GET("/api/v1/auth/me", { headers }));
}

async function ingestiq() {
  const api = createClient<Ingestiq>({ baseUrl });
  const person = { email: "types@ingest.example", password: PASSWORD, name: "Ada" };
  const made = await expect(201, api.POST("/api/v2/auth/register", { body: person }));
  const me = await expect(200, api.GET("/api/v2/auth/me", { headers: bearer(made.accessToken) }));
  assert(me.user.id === made.user.id, "another account");
  const refresh = { refreshToken: made.refreshToken };
  const tokens = await expect(200, api.POST("/api/v2/auth/refresh", { body: refresh }));
  const headers = bearer(tokens.accessToken);
  await expect(200, api.POST("/api/v2/auth/login", { body: { email: person.email, password: PASSWORD } }));
  await expect(200, api.POST("/api/v2/auth/logout", { headers }));
  await expect(401, api.GET("/api/v2/auth/me", { headers }));
  assert((await expect(200, api.GET("/api/v2/health"))).status === "ok", "not well");
}

async function crossingMinds() {
  const api = createClient<CrossingMinds>({ baseUrl });
  const email = "root@types.example";
  const options = ["--name", "Types", "--root-email", email, "--root-password-stdin"];
  tidegate(["org", "create", ...options], `${PASSWORD}\n`);
  const signedIn = await expect(200, api.POST("/v1/login/individual", { body: { email, password: PASSWORD } }));
  const root = bearer(signedIn.token);
  const service = { name: "types", role: "backend", password: PASSWORD } as const;
  await expect(200, api.POST("/v1/accounts/service", { headers: root, body: service }));
  const shop = { name: "shop", description: "", item_id_type: "uuid", user_id_type: "uint32" };
  const { id } = await expect(200, api.POST("/v1/databases", { headers: root, body: shop }));
  const bound = { name: "types", password: PASSWORD, db_id: id };
  const program = bearer((await expect(200, api.POST("/v1/login/service", { body: bound }))).token);
  const current = await expect(200, api.GET("/v1/databases/current", { headers: program }));
  assert(current.id === id, "another database");
  const session_id = "00000000-0000-0000-0000-000000000000";
  const resolved = { headers: program, params: { path: { session_id } }, body: { user_id: 7 } };
  await expect(200, api.POST("/v1/sessions/{session_id}/resolve", resolved));
  await expect(200, api.POST("/v1/resolved-sessions", { headers: program, body: { amt: 10 } }));
  const refresh = { refresh_token: signedIn.refresh_token };
  await expect(200, api.POST("/v1/login/refresh-token", { body: refresh }));
  await expect(204, api.DELETE("/v1/accounts/service", { headers: root, body: { name: "types" } }));
  await expect(401, api.GET("/v1/databases/current", { headers: program }));
}

async function riven() {
  const api = createClient<Riven>({ baseUrl });
  const phone = "+254712000002";
  await expect(200, api.POST("/api/v1/auth/enter-phone", { body: { phone } }));
  const claim = { phone, code: codeSentTo(phone) };
  const { auth } = await expect(200, api.POST("/api/v1/auth/confirm-code", { body: claim }));
  const headers = bearer(auth.token);
  const body = {
    contact: { email_address: "types@riven.example", phone_number: phone, street_address: ["20 Moi Avenue"], city: "Nairobi" },
    identity: {
      given_name: "Wanjiru", family_name: "Kamau", date_of_birth: "1980-01-01",
      country_of_tax_residence: "KEN", funding_source: "savings",
    },
    disclosures: {
      is_control_person: false, is_affiliated_exchange_or_finra: false,
      is_politically_exposed: false, immediate_family_exposed: false,
    },
    agreements: { agreement: "customer_agreement", signed_at: "2026-01-01T10:00:00Z", ip_address: "203.0.113.7" },
  } as const;
  const application = { headers, body: { ...body, contact: { ...body.contact, street_address: ["20 Moi Avenue"] } } };
  await expect(200, api.POST("/api/v1/account/create", application));
  await expect(409, api.POST("/api/v1/account/create", application));
  assert((await expect(200, api.GET("/api/v1/account/profile", { headers }))).sandbox, "no sandbox");
  await expect(200, api.POST("/api/v1/logout", { headers }));
  await expect(401, api.GET("/api/v1/account/profile", { headers }));
}

await rivergen();
await ingestiq();
await crossingMinds();
await riven();
