-- Passkeys: credentials of authenticators (W3C Web Authentication), with which their owner signs in.
create table passkeys (
    number {number_key},
    id {uuid} not null unique,
    account_id {uuid} not null references accounts (id),
    -- What the owner calls it.
    name text not null,
    -- Unique in the installation: one credential signs in to one account.
    credential_id {bytes} not null unique,
    -- The public key and what was said at the registration, JSON.
    credential text not null,
    -- The signature counter of the last use; 0 where the authenticator keeps none.
    sign_count bigint not null,
    -- Whether it may be synchronized to other devices, and whether it was at its last use.
    backup_eligible boolean not null,
    backed_up boolean not null,
    -- The model of the authenticator, as it says itself.
    aaguid {uuid} not null,
    -- The ways to the authenticator, with a space between them; empty where the client named none.
    transports text not null,
    created_at bigint not null,
    last_used_at bigint,
    use_count bigint not null
);
create index passkeys_of_account on passkeys (account_id);
