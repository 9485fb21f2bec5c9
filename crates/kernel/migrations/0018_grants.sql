-- Grants that need no browser on the device, proofs of possession, and tokens that are exchanged.

-- A device that shows a code, which a person types into a page (RFC 8628).
create table oauth_device_codes (
    id {uuid} not null primary key,
    -- SHA-256 of what the device polls with.
    device_code_hash {bytes} not null unique,
    -- What the person types is short: a hash without a key would be searched through.
    user_code_mac {bytes} not null unique,
    application_id {uuid} not null,
    -- The application's epoch when it asked.
    application_epoch {uuid} not null,
    -- Separated by spaces.
    scope text not null,
    -- The API that access tokens are for. Null: this installation.
    audience text,
    -- The address that asked.
    ip text not null,
    -- pending, approved, denied.
    status text not null,
    -- Seconds between two polls, and the last of them.
    interval_seconds bigint not null,
    polled_at bigint,
    -- Who answered, with which session, and when. Null: nobody did.
    account_id {uuid} references accounts (id),
    session_id {uuid},
    decided_at bigint,
    created_at bigint not null,
    expires_at bigint not null,
    -- When it was exchanged, and the session that opened.
    used_at bigint,
    opened_session_id {uuid}
);
create index oauth_device_codes_of_account on oauth_device_codes (account_id) where account_id is not null;
create index oauth_device_codes_of_application on oauth_device_codes (application_id);
create index oauth_device_codes_by_expiry on oauth_device_codes (expires_at);

-- Proofs of possession that were shown (RFC 9449 section 11.1), until their time is over.
create table dpop_proofs (
    -- Digest of the key and of the proof's name.
    id {bytes} not null primary key,
    expires_at bigint not null
);
create index dpop_proofs_by_expiry on dpop_proofs (expires_at);

-- The key that a code, or the tokens of a session, are bound to: a thumbprint (RFC 7638). Null: none.
alter table oauth_codes add column dpop_jkt text;
alter table sessions add column dpop_jkt text;

-- Whether the application gets tokens only with a proof of possession (RFC 9449 section 5.2).
alter table oauth_applications add column dpop_bound boolean not null default false;
-- APIs that it serves, whose tokens an operator lets it exchange, and APIs that it gets tokens for then (RFC 8693). Separated by spaces.
alter table oauth_applications add column exchange_from text not null default '';
alter table oauth_applications add column exchange_to text not null default '';
-- Whether the userinfo endpoint answers it with a signed token (Core section 5.3.2).
alter table oauth_applications add column userinfo_signed boolean not null default false;

-- How people are named to it: none by their key, otherwise by a name that those of its sector have in common (Core section 8.1).
alter table oauth_applications add column pairwise_sector text;
-- The name by which the session's tokens speak of its account. Null: its key.
alter table sessions add column subject_id {uuid};
-- What such names are made with, encrypted. One row.
create table oauth_pairwise_keys (
    id bigint not null primary key,
    sealed {bytes} not null,
    created_at bigint not null
);
