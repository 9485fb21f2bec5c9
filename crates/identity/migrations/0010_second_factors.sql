-- Second factors, backup codes and trusted devices.

-- One row for each method that an account's owner has shown to work, or is about to.
create table second_factors (
    number {number_key},
    id {uuid} not null unique,
    account_id {uuid} not null references accounts (id),
    kind text not null,
    -- What the owner calls the device; empty for codes that are sent.
    name text not null,
    -- The TOTP seed, sealed; until it is verified also the backup codes that go with it. Null for codes that are sent.
    sealed {bytes},
    -- The last time step whose code was accepted (RFC 6238 section 5.2).
    last_step bigint not null,
    is_primary boolean not null,
    created_at bigint not null,
    verified_at bigint,
    last_used_at bigint,
    -- Until when it can be verified.
    expires_at bigint
);
create index second_factors_of_account on second_factors (account_id);
create index unverified_second_factors on second_factors (expires_at) where verified_at is null;

create table recovery_codes (
    id {uuid} not null primary key,
    account_id {uuid} not null references accounts (id),
    -- Keyed hash: 40 bits are soon tried without the key.
    code_mac {bytes} not null,
    created_at bigint not null,
    used_at bigint
);
create index recovery_codes_of_account on recovery_codes (account_id);

create table trusted_devices (
    number {number_key},
    id {uuid} not null unique,
    account_id {uuid} not null references accounts (id),
    name text not null,
    -- Keyed hash of the network's class, the user agent and what the client sent of itself.
    fingerprint {bytes} not null,
    ip text not null,
    user_agent text not null,
    created_at bigint not null,
    -- SHA-256 of the activation token; null once it was used.
    activation_hash {bytes} unique,
    activation_expires_at bigint not null,
    -- When its owner asked to trust it.
    activated_at bigint,
    last_used_at bigint
);
create index trusted_devices_of_account on trusted_devices (account_id);
create index inactive_devices on trusted_devices (activation_expires_at) where activated_at is null;

-- What becomes of members with a second factor who sign in through a contract whose clients cannot ask for it. Without a row they
-- are refused.
create table second_factor_rules (
    organization_id {uuid} not null primary key references organizations (id),
    admits_without boolean not null,
    changed_at bigint not null
);
