-- Scopes, personal access tokens and tokens of organizations.

-- What the tokens of a session may do at most, separated by spaces. None: whatever the role may do.
alter table sessions add column scope text;

-- Most minutes for which a token lives that a member makes for the organization. None: as long as the member chose.
alter table organizations add column access_token_expire_minutes bigint;

create table access_tokens (
    number {number_key},
    id {uuid} not null unique,
    -- Whose it is, and for whom it acts.
    account_id {uuid} not null references accounts (id),
    -- Where it acts.
    organization_id {uuid} not null references organizations (id),
    -- Whether it was made for that organization, whose admins see and revoke it.
    for_organization boolean not null,
    -- The role of its owner when it was made. It never allows more, whatever the role becomes.
    role text not null,
    -- The contract that issued it.
    contract text not null,
    name text not null,
    token_hash {bytes} not null unique,
    -- Separated by spaces.
    scope text not null,
    created_at bigint not null,
    -- Null: until it is revoked.
    expires_at bigint,
    -- Known to a minute or so.
    last_used_at bigint
);
create index access_tokens_of_account on access_tokens (account_id);
create index access_tokens_of_organization on access_tokens (organization_id) where for_organization;
create index access_tokens_by_expiry on access_tokens (expires_at) where expires_at is not null;
