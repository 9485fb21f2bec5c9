-- Accounts at other identity providers, with which their owner signs in.
create table social_accounts (
    number {number_key},
    id {uuid} not null unique,
    account_id {uuid} not null references accounts (id),
    -- The provider's name in the configuration, and who it says has issued the subject.
    provider text not null,
    issuer text not null,
    -- What the issuer calls the person, for good. Addresses and names change.
    subject text not null,
    -- What the provider last said; empty where it said nothing.
    email text not null,
    display_name text not null,
    -- The provider's tokens, JSON. Sealed.
    tokens {bytes} not null,
    connected_at bigint not null,
    last_used_at bigint not null,
    -- The address by which it was connected; empty where it was connected by none.
    connected_by text not null,
    -- A new password or a changed address ended it: it signs in to nothing until the owner connects it again.
    disconnected_at bigint,
    -- The account's owner said that it is not theirs: it signs in to nothing any more.
    blocked_at bigint,
    unique (provider, issuer, subject)
);
create index social_accounts_of_account on social_accounts (account_id);

-- Sign-ins that were sent to a provider and have not come back.
create table social_requests (
    id {uuid} not null primary key,
    provider text not null,
    -- SHA-256 of the state. Not unique: a client may choose it.
    state_hash {bytes} not null,
    -- SHA-256 of the nonce.
    nonce_hash {bytes} not null unique,
    -- SHA-256 of the cookie of the browser that began it.
    browser_hash {bytes} not null,
    -- Whether it comes back to a hosted page.
    is_hosted boolean not null,
    -- Where the provider sends the person back.
    redirect_uri text not null,
    -- Whether a code verifier goes with the code.
    uses_pkce boolean not null,
    -- S256 (RFC 7636) of a secret that the page which began it keeps, if it keeps one.
    page_challenge text,
    created_at bigint not null,
    expires_at bigint not null,
    consumed_at bigint
);
create index social_requests_by_state on social_requests (state_hash);
create index social_requests_by_expiry on social_requests (expires_at);
