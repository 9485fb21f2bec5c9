// Walks each contract's flow with the client that hey-api makes of its description.
import * as crossingMindsApi from "./made/hey_crossing_minds/index.js";
import { createClient as crossingMindsClient } from "./made/hey_crossing_minds/client/index.js";
import * as ingestiqApi from "./made/hey_ingestiq/index.js";
import { createClient as ingestiqClient } from "./made/hey_ingestiq/client/index.js";
import * as rivenApi from "./made/hey_riven/index.js";
import { createClient as rivenClient } from "./made/hey_riven/client/index.js";
import * as rivergenApi from "./made/hey_rivergen/index.js";
import { createClient as rivergenClient } from "./made/hey_rivergen/client/index.js";
import { PASSWORD, assert, codeSentTo, expect, tidegate } from "./common.js";

const baseUrl = process.argv[2]!;

async function rivergen() {
  const anonymous = { client: rivergenClient({ baseUrl }) };
  const as = (auth: string) => ({ client: rivergenClient({ baseUrl, auth }) });
  const email = "hey@example.com";
  const person = { email, password: PASSWORD, display_name: "Ada" };
  const { data: made } = await expect(201, rivergenApi.signUp({ ...anonymous, body: person }));
  const claim = { temporary_token: made.temporary_token, otp_code: codeSentTo(email) };
  const { data: verified } = await expect(200, rivergenApi.verifyOtp({ ...anonymous, body: claim }));
  const { data: me } = await expect(200, rivergenApi.me(as(verified.access_token)));
  assert(me.user.primary_email === email, "another account");
  const { data: signedIn } = await expect(200, rivergenApi.login({ ...anonymous, body: { email, password: PASSWORD } }));
  assert("access_token" in signedIn, "no full sign-in");
  const refresh = { refresh_token: signedIn.refresh_token };
  const { data: tokens } = await expect(200, rivergenApi.refresh({ ...anonymous, body: refresh }));
  const caller = as(tokens.access_token);
  const { data: sessions } = await expect(200, rivergenApi.listSessions(caller));
  assert(sessions.active_count === 2, "other sessions");
  await expect(401, rivergenApi.login({ ...anonymous, body: { email, password: "Wrong1horse" } }));
  await expect(204, rivergenApi.logout(caller));
  await expect(401, rivergenApi.me(caller));
}

async function ingestiq() {
  const anonymous = { client: ingestiqClient({ baseUrl }) };
  const as = (auth: string) => ({ client: ingestiqClient({ baseUrl, auth }) });
  const person = { email: "hey@ingest.example", password: PASSWORD, name: "Ada" };
  const made = await expect(201, ingestiqApi.register({ ...anonymous, body: person }));
  const me = await expect(200, ingestiqApi.me(as(made.accessToken)));
  assert(me.user.id === made.user.id, "another account");
  const refresh = { refreshToken: made.refreshToken };
  const tokens = await expect(200, ingestiqApi.refresh({ ...anonymous, body: refresh }));
  const caller = as(tokens.accessToken);
  await expect(200, ingestiqApi.login({ ...anonymous, body: { email: person.email, password: PASSWORD } }));
  await expect(200, ingestiqApi.logout(caller));
  await expect(401, ingestiqApi.me(caller));
  assert((await expect(200, ingestiqApi.health(anonymous))).status === "ok", "not well");
}

async function crossingMinds() {
  const anonymous = { client: crossingMindsClient({ baseUrl }) };
  const as = (auth: string) => ({ client: crossingMindsClient({ baseUrl, auth }) });
  const email = "root@hey.example";
  const options = ["--name", "Hey", "--root-email", email, "--root-password-stdin"];
  tidegate(["org", "create", ...options], `${PASSWORD}\n`);
  const person = { email, password: PASSWORD };
  const signedIn = await expect(200, crossingMindsApi.loginIndividual({ ...anonymous, body: person }));
  const root = as(signedIn.token);
  const service = { name: "hey", role: "backend", password: PASSWORD } as const;
  await expect(200, crossingMindsApi.createService({ ...root, body: service }));
  const shop = { name: "shop", description: "", item_id_type: "uuid", user_id_type: "uint32" };
  const { id } = await expect(200, crossingMindsApi.createDatabase({ ...root, body: shop }));
  const bound = { name: "hey", password: PASSWORD, db_id: id };
  const program = as((await expect(200, crossingMindsApi.loginService({ ...anonymous, body: bound }))).token);
  assert((await expect(200, crossingMindsApi.currentDatabase(program))).id === id, "another database");
  const path = { session_id: "00000000-0000-0000-0000-000000000000" };
  await expect(200, crossingMindsApi.resolveSession({ ...program, path, body: { user_id: 7 } }));
  await expect(200, crossingMindsApi.listResolvedSessions({ ...program, body: { amt: 10 } }));
  const refresh = { refresh_token: signedIn.refresh_token };
  await expect(200, crossingMindsApi.refreshToken({ ...anonymous, body: refresh }));
  await expect(204, crossingMindsApi.deleteService({ ...root, body: { name: "hey" } }));
  await expect(401, crossingMindsApi.currentDatabase(program));
}

async function riven() {
  const anonymous = { client: rivenClient({ baseUrl }) };
  const as = (auth: string) => ({ client: rivenClient({ baseUrl, auth }) });
  const phone = "+254712000003";
  await expect(200, rivenApi.enterPhone({ ...anonymous, body: { phone } }));
  const claim = { phone, code: codeSentTo(phone) };
  const { auth } = await expect(200, rivenApi.confirmCode({ ...anonymous, body: claim }));
  const caller = as(auth.token);
  const body: rivenApi.ApplicationBody = {
    contact: { email_address: "hey@riven.example", phone_number: phone, street_address: ["20 Moi Avenue"], city: "Nairobi" },
    identity: {
      given_name: "Wanjiru", family_name: "Kamau", date_of_birth: "1980-01-01",
      country_of_tax_residence: "KEN", funding_source: "savings",
    },
    disclosures: {
      is_control_person: false, is_affiliated_exchange_or_finra: false,
      is_politically_exposed: false, immediate_family_exposed: false,
    },
    agreements: { agreement: "customer_agreement", signed_at: "2026-01-01T10:00:00Z", ip_address: "203.0.113.7" },
  };
  await expect(200, rivenApi.create({ ...caller, body }));
  await expect(409, rivenApi.create({ ...caller, body }));
  assert((await expect(200, rivenApi.profile(caller))).sandbox, "no sandbox");
  await expect(200, rivenApi.logout(caller));
  await expect(401, rivenApi.profile(caller));
}

await rivergen();
await ingestiq();
await crossingMinds();
await riven();
