// oidc-provider with client credentials and introspection, and its tokens kept in SQLite.
//
//   node oidc-provider.mjs migrate
//   node oidc-provider.mjs serve PROCESSES
//
// In the present directory: provider.db and keys.json. Tokens for urn:signed are JWTs, which nobody keeps; tokens for urn:kept are
// opaque, as only those can be introspected here.
import { readFileSync, writeFileSync } from 'node:fs';
import { generateKeyPairSync } from 'node:crypto';
import Database from 'better-sqlite3';
import Provider from 'oidc-provider';
import { durable, serve } from './serving.mjs';

const [command, processes = '1'] = process.argv.slice(2);

// The least an adapter can do: one statement each, prepared once.
const adapter = (database) => {
  const upsert = database.prepare(
    `insert into models (name, id, payload, expires_at, grant_id, user_code, uid) values (?, ?, ?, ?, ?, ?, ?)
     on conflict (name, id) do update set payload = excluded.payload, expires_at = excluded.expires_at`,
  );
  const by = (column) => database.prepare(`select payload, expires_at from models where name = ? and ${column} = ?`);
  const [byId, byUserCode, byUid] = ['id', 'user_code', 'uid'].map(by);
  const consume = database.prepare(
    "update models set payload = json_set(payload, '$.consumed', ?) where name = ? and id = ?",
  );
  const destroy = database.prepare('delete from models where name = ? and id = ?');
  const revoke = database.prepare('delete from models where grant_id = ?');
  const now = () => Math.floor(Date.now() / 1000);
  const read = (row) => (row && (row.expires_at === null || row.expires_at > now()) ? JSON.parse(row.payload) : undefined);
  return class {
    constructor(name) {
      this.name = name;
    }
    async upsert(id, payload, expiresIn) {
      const expiresAt = expiresIn ? now() + expiresIn : null;
      const { grantId = null, userCode = null, uid = null } = payload;
      upsert.run(this.name, id, JSON.stringify(payload), expiresAt, grantId, userCode, uid);
    }
    async find(id) {
      return read(byId.get(this.name, id));
    }
    async findByUserCode(code) {
      return read(byUserCode.get(this.name, code));
    }
    async findByUid(uid) {
      return read(byUid.get(this.name, uid));
    }
    async consume(id) {
      consume.run(now(), this.name, id);
    }
    async destroy(id) {
      destroy.run(this.name, id);
    }
    async revokeByGrantId(grant) {
      revoke.run(grant);
    }
  };
};

const resourceServers = {
  'urn:signed': { accessTokenFormat: 'jwt', audience: 'urn:signed', jwt: { sign: { alg: 'ES256' } } },
  'urn:kept': { accessTokenFormat: 'opaque', audience: 'urn:kept' },
};

const configuration = (database) => ({
  adapter: adapter(database),
  jwks: JSON.parse(readFileSync('keys.json', 'utf8')),
  clients: [
    {
      client_id: 'benchmark',
      client_secret: 'a-secret-of-the-benchmark-that-is-long-enough',
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
      token_endpoint_auth_method: 'client_secret_post',
      id_token_signed_response_alg: 'ES256',
    },
  ],
  cookies: { keys: ['a-key-of-the-benchmark'] },
  scopes: ['read'],
  ttl: { ClientCredentials: 3600 },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: (_, client, token) => token.clientId === client.clientId },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: async (_, resource) => ({ scope: 'read', accessTokenTTL: 3600, ...resourceServers[resource] }),
    },
  },
});

const database = durable(new Database('provider.db'));
if (command === 'migrate') {
  database.exec(
    `create table if not exists models (
       name text not null, id text not null, payload text not null, expires_at integer, grant_id text, user_code text, uid text,
       primary key (name, id)) without rowid;
     create index if not exists models_by_grant on models (grant_id) where grant_id is not null;
     create index if not exists models_by_user_code on models (name, user_code) where user_code is not null;
     create index if not exists models_by_uid on models (name, uid) where uid is not null`,
  );
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = { ...privateKey.export({ format: 'jwk' }), kid: 'first', use: 'sig', alg: 'ES256' };
  writeFileSync('keys.json', JSON.stringify({ keys: [key] }), { mode: 0o600 });
} else {
  await serve(Number(processes), async () => new Provider('http://127.0.0.1', configuration(database)).callback());
}
