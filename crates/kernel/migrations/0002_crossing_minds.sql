-- Programs and their keys, databases, and what a session can be bound to.

alter table accounts add column first_name text not null default '';
alter table accounts add column last_name text not null default '';
-- What a deleted account was called, for as long as its refresh tokens may ask.
alter table accounts add column tombstone text;
create index accounts_deleted on accounts (disabled_at) where tombstone is not null;

alter table organizations add column metadata {json} not null default '{}';

-- The organization whose managers look after an account: the one it founded, or the one it was made in.
alter table memberships add column is_home boolean not null default false;
update memberships set is_home = true where role = 'owner';
create unique index one_home_per_account on memberships (account_id) where is_home;
create index members_at_home on memberships (organization_id, id) where is_home;

create table service_keys (
    id {uuid} not null primary key,
    account_id {uuid} not null references accounts (id),
    key_hash {bytes} not null unique,
    metadata {json} not null,
    created_at bigint not null,
    expires_at bigint
);
create index service_keys_of_account on service_keys (account_id, created_at);

create table databases (
    number {number_key},
    id {uuid} not null unique,
    organization_id {uuid} not null references organizations (id),
    name text not null,
    description text not null,
    item_id_type text not null,
    user_id_type text not null,
    session_id_type text not null,
    metadata {json} not null,
    created_at bigint not null,
    ready_at bigint not null,
    -- From then on it looks like none; what is in it is removed little by little.
    deleted_at bigint
);
create unique index databases_by_name on databases (organization_id, name) where deleted_at is null;
create index databases_deleted on databases (deleted_at) where deleted_at is not null;

create table resolved_sessions (
    database_id {uuid} not null references databases (id),
    session_ident {bytes} not null,
    user_ident {bytes} not null,
    at bigint not null,
    primary key (database_id, session_ident)
);
create index resolved_sessions_of_user on resolved_sessions (database_id, user_ident, session_ident);

-- The key a program signed in with: its deletion ends what it opened.
alter table sessions add column service_key_id {uuid};
create index sessions_of_service_key on sessions (service_key_id) where service_key_id is not null;
alter table sessions add column database_id {uuid};
alter table sessions add column frontend_user text;
alter table sessions add column frontend_session text;

-- A token was exchanged when it has a child; the child says when.
alter table refresh_tokens drop column rotated_at;
