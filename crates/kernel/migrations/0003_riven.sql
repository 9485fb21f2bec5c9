-- Phones, tokens that are chance alone, brokerage accounts.

-- The token of a session whose contract knows no other.
alter table sessions add column token_hash {bytes};
create unique index sessions_by_token on sessions (token_hash) where token_hash is not null;

-- Codes are answered by number and purpose: the newest counts.
create index challenges_by_address on challenges (address, purpose, created_at);

-- What the provider that took a text message calls it, and what it reported since.
alter table outbox_messages add column provider text;
alter table outbox_messages add column provider_message_id text;
alter table outbox_messages add column receipt text;
alter table outbox_messages add column receipt_reason text;
alter table outbox_messages add column receipt_at bigint;
create index outbox_messages_by_receipt on outbox_messages (provider_message_id) where provider_message_id is not null;

-- A person's account at a broker, or the opening of one. One row for each broker: the sandbox's account is none elsewhere.
create table brokerage_accounts (
    account_id {uuid} not null references accounts (id),
    broker text not null,
    -- E-mail address and date of birth as the broker knows them, sealed.
    person {bytes},
    broker_account_id {uuid},
    status text not null,
    -- An opening that has no answer yet. What it was asked with is sealed; it holds no tax number and no document.
    opening_id {uuid},
    opening {bytes},
    opening_state text,
    opening_since bigint,
    -- Until then whoever opens it is waited for.
    opening_until bigint,
    -- When the broker is asked how it stands, and how often it was since it last changed.
    check_at bigint,
    checks bigint not null,
    updated_at bigint not null,
    primary key (account_id, broker)
);
create unique index brokerage_accounts_at_broker on brokerage_accounts (broker, broker_account_id)
    where broker_account_id is not null;
create index brokerage_accounts_due on brokerage_accounts (broker, check_at) where check_at is not null;

-- How far the broker's events were read, and who reads them.
create table broker_cursors (
    broker text not null primary key,
    cursor text,
    leased_until bigint not null
);

-- What the embedded sandbox keeps.
create table sandbox_accounts (
    id {uuid} not null primary key,
    email text not null unique,
    revision bigint not null,
    -- When the last status begins that is planned.
    last_step_at bigint not null,
    sealed {bytes} not null
);
create index sandbox_accounts_by_step on sandbox_accounts (last_step_at);
