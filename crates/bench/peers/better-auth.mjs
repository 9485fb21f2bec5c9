// Better Auth with e-mail and password, as its documentation sets it up for production with SQLite.
//
//   node better-auth.mjs migrate
//   node better-auth.mjs serve PROCESSES [cache]
//
// In the present directory: auth.db. With `cache` sessions are read from a signed cookie, its optional cache of up to five minutes.
import { scryptSync, timingSafeEqual } from 'node:crypto';
import { betterAuth } from 'better-auth';
import { getMigrations } from 'better-auth/db/migration';
import { toNodeHandler } from 'better-auth/node';
import { jwt } from 'better-auth/plugins';
import Database from 'better-sqlite3';
import { durable, serve } from './serving.mjs';

const [command, processes = '1', cache] = process.argv.slice(2);

// scrypt at its least, where Tidegate hashes with Argon2id of 8 KiB: what is left of a sign-up is everything else.
const hashed = (password) => scryptSync(password.normalize('NFKC'), 'salt', 32, { N: 2, r: 1, p: 1 });
const password = {
  hash: async (password) => hashed(password).toString('hex'),
  verify: async ({ hash, password }) => timingSafeEqual(Buffer.from(hash, 'hex'), hashed(password)),
};

// What no benchmark reaches. Counting goes on, so what counting costs is measured.
const noLimit = { window: 3600, max: 1_000_000_000 };

const options = () => ({
  baseURL: 'http://127.0.0.1',
  secret: 'a-secret-of-the-benchmark-that-is-long-enough-0123456789',
  database: durable(new Database('auth.db')),
  emailAndPassword: { enabled: true, password },
  session: { cookieCache: { enabled: cache === 'cache', maxAge: 300 } },
  rateLimit: { enabled: true, ...noLimit, customRules: { '/sign-up/*': noLimit, '/sign-in/*': noLimit } },
  // Keys to publish. Nobody asks for the token that it would sign whenever a session is read.
  plugins: [jwt({ jwks: { keyPairConfig: { alg: 'ES256' } }, disableSettingJwtHeader: true })],
  telemetry: { enabled: false },
});

if (command === 'migrate') {
  const { runMigrations } = await getMigrations(options());
  await runMigrations();
} else {
  await serve(Number(processes), async () => toNodeHandler(betterAuth(options())));
}
