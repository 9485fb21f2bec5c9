-- Authorization codes, and what people have allowed applications.
create table oauth_codes (
    id {uuid} not null primary key,
    code_hash {bytes} not null unique,
    application_id {uuid} not null,
    -- The application's epoch when it was made.
    application_epoch {uuid} not null,
    account_id {uuid} not null references accounts (id),
    -- The session that approved it: it ends with that.
    session_id {uuid} not null,
    redirect_uri text not null,
    -- Separated by spaces.
    scope text not null,
    -- PKCE. Null: the request had none.
    challenge text,
    challenge_method text,
    nonce text,
    -- The API that access tokens are for. Null: this installation.
    audience text,
    -- The address from which it was approved.
    ip text not null,
    created_at bigint not null,
    expires_at bigint not null,
    -- When it was exchanged, and the session that opened.
    used_at bigint,
    opened_session_id {uuid}
);
create index oauth_codes_of_account on oauth_codes (account_id);
create index oauth_codes_of_application on oauth_codes (application_id);
create index oauth_codes_by_expiry on oauth_codes (expires_at);

create table oauth_consents (
    account_id {uuid} not null references accounts (id),
    application_id {uuid} not null,
    -- The contract whose client asked, `browser` for the hosted page; `membership` where nobody was asked, because the application is one of
    -- an organization of theirs.
    given_through text not null,
    -- All that was ever allowed, separated by spaces.
    scope text not null,
    created_at bigint not null,
    updated_at bigint not null,
    primary key (account_id, application_id, given_through)
);
create index oauth_consents_of_application on oauth_consents (application_id);
