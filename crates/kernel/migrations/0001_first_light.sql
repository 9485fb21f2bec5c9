-- Accounts, organizations, sessions, challenges, outbox, audit, limits, keys.
-- Instants are microseconds since the Unix epoch, UTC. Types in braces are spelled per engine; see engine/migrate.rs.

create table organizations (
    number {number_key},
    id {uuid} not null unique,
    name text not null,
    domain text not null,
    plan text not null,
    settings {json} not null,
    created_at bigint not null,
    updated_at bigint not null
);

create table roles (
    id {uuid} not null primary key,
    organization_id {uuid} not null references organizations (id),
    name text not null,
    unique (organization_id, name)
);

create table workspaces (
    number {number_key},
    id {uuid} not null unique,
    organization_id {uuid} not null references organizations (id),
    name text not null,
    slug text not null,
    is_default boolean not null,
    created_at bigint not null,
    unique (organization_id, slug)
);

create table accounts (
    number {number_key},
    id {uuid} not null unique,
    kind text not null,
    display_name text not null,
    profile_image_url text,
    profile {json} not null,
    user_metadata {json} not null,
    is_system_admin boolean not null,
    agreed_to_terms boolean not null,
    terms_version text,
    disabled_at bigint,
    created_at bigint not null,
    updated_at bigint not null
);

create table passwords (
    account_id {uuid} not null primary key references accounts (id),
    hash text not null,
    changed_at bigint not null
);

create table identifiers (
    id {uuid} not null primary key,
    account_id {uuid} not null references accounts (id),
    kind text not null,
    value text not null,
    verified_at bigint,
    is_primary boolean not null,
    created_at bigint not null,
    unique (kind, value)
);
create index identifiers_of_account on identifiers (account_id);
create unique index one_primary_identifier on identifiers (account_id, kind) where is_primary;

create table memberships (
    id {uuid} not null primary key,
    account_id {uuid} not null references accounts (id),
    organization_id {uuid} not null references organizations (id),
    role text not null,
    source text not null,
    joined_at bigint not null,
    unique (account_id, organization_id)
);
create unique index one_owner_per_organization on memberships (organization_id) where role = 'owner';

create table membership_workspaces (
    membership_id {uuid} not null references memberships (id),
    workspace_id {uuid} not null references workspaces (id),
    primary key (membership_id, workspace_id)
);

create table sessions (
    number {number_key},
    id {uuid} not null unique,
    account_id {uuid} not null references accounts (id),
    organization_id {uuid} not null references organizations (id),
    workspace_id {uuid} references workspaces (id),
    dialect text not null,
    amr text not null,
    remember_me boolean not null,
    ip text not null,
    user_agent text not null,
    created_at bigint not null,
    last_activity_at bigint not null,
    expires_at bigint not null,
    ends_at bigint not null,
    revoked_at bigint,
    revoked_reason text
);
create index sessions_of_account on sessions (account_id, created_at);
create index sessions_by_end on sessions (ends_at);

create table refresh_tokens (
    id {uuid} not null primary key,
    session_id {uuid} not null references sessions (id),
    token_hash {bytes} not null unique,
    parent_id {uuid} unique references refresh_tokens (id),
    issued_at bigint not null,
    expires_at bigint not null,
    rotated_at bigint
);
create index refresh_tokens_of_session on refresh_tokens (session_id);

create table challenges (
    id {uuid} not null primary key,
    account_id {uuid} references accounts (id),
    purpose text not null,
    address text not null,
    handle_hash {bytes} unique,
    link_hash {bytes} unique,
    code_mac {bytes},
    attempts bigint not null,
    link_uses bigint not null default 0,
    dialect text not null,
    continuation {json} not null,
    created_at bigint not null,
    expires_at bigint not null,
    consumed_at bigint
);
create index challenges_of_account on challenges (account_id, purpose);
create index challenges_by_expiry on challenges (expires_at);

create table audit_events (
    number {number_key},
    id {uuid} not null unique,
    at bigint not null,
    action text not null,
    account_id {uuid},
    organization_id {uuid},
    session_id {uuid},
    dialect text not null,
    ip text not null,
    user_agent text not null,
    metadata {json} not null
);
create index audit_events_of_account on audit_events (account_id, action, number);

create table outbox_messages (
    number {number_key},
    id {uuid} not null unique,
    idempotency_key text not null unique,
    channel text not null,
    template text not null,
    recipient text not null,
    payload {bytes},
    state text not null,
    attempts bigint not null,
    next_attempt_at bigint not null,
    leased_until bigint not null,
    last_error text,
    created_at bigint not null,
    settled_at bigint
);
create index outbox_messages_due on outbox_messages (state, next_attempt_at);
create index outbox_messages_by_recipient on outbox_messages (recipient, number);

create table idempotency_records (
    key_mac {bytes} not null primary key,
    fingerprint {bytes} not null,
    response {bytes} not null,
    created_at bigint not null,
    expires_at bigint not null
);
create index idempotency_records_by_expiry on idempotency_records (expires_at);

create table rate_limit_buckets (
    bucket {bytes} not null primary key,
    count bigint not null,
    resets_at bigint not null
);
create index rate_limit_buckets_by_reset on rate_limit_buckets (resets_at);

create table signing_keys (
    kid text not null primary key,
    algorithm text not null,
    sealed {bytes} not null,
    created_at bigint not null,
    retired_at bigint
);
