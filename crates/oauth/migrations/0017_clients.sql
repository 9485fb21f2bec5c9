-- What is known of a client beyond what every application has: JSON. Null: nothing.
alter table oauth_applications add column metadata text;
-- The secret itself, sealed: of clients that sign with it (client_secret_jwt), and of no others.
alter table oauth_applications add column sealed_secret {bytes};
-- SHA-256 of the token by which a client that registered itself manages its registration. Null: it was registered by others.
alter table oauth_applications add column registration_hash {bytes};
create unique index oauth_applications_by_registration on oauth_applications (registration_hash)
    where registration_hash is not null;
-- The https address of the document that describes it, which is its client_id then, and when that was last read.
alter table oauth_applications add column document_uri text;
alter table oauth_applications add column document_read_at bigint;
create unique index oauth_applications_by_document on oauth_applications (document_uri) where document_uri is not null;

-- Assertions of clients that were accepted: none is accepted twice.
create table oauth_used_assertions (
    -- SHA-256 of who issued it and how they call it.
    fingerprint {bytes} not null primary key,
    expires_at bigint not null
);
create index oauth_used_assertions_by_expiry on oauth_used_assertions (expires_at);

-- Authorization requests that were pushed (RFC 9126), and signed ones that a browser brought.
create table oauth_pushed_requests (
    -- SHA-256 of the last part of its request_uri.
    hash {bytes} not null primary key,
    application_id {uuid} not null,
    -- Its parameters as JSON, sealed.
    parameters {bytes} not null,
    -- Whether the client signed them (RFC 9101).
    signed boolean not null,
    created_at bigint not null,
    expires_at bigint not null,
    -- When it was first brought: from then on it lives as long as a sign-in may take.
    opened_at bigint,
    -- When it was answered: once.
    used_at bigint
);
create index oauth_pushed_requests_by_expiry on oauth_pushed_requests (expires_at);
create index oauth_pushed_requests_of_application on oauth_pushed_requests (application_id);

-- Initial access tokens, by which clients may register themselves (RFC 7591 section 3).
create table oauth_registration_tokens (
    id {uuid} not null primary key,
    hash {bytes} not null unique,
    organization_id {uuid} not null references organizations (id),
    -- How many more may be registered with it.
    uses_left bigint not null,
    created_at bigint not null,
    expires_at bigint not null
);
create index oauth_registration_tokens_of_organization on oauth_registration_tokens (organization_id);

-- Claims of the person that the ID token is asked to have, separated by spaces. Null: none.
alter table oauth_codes add column id_token_claims text;
