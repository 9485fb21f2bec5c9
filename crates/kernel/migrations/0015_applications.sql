-- Applications that get tokens with OAuth 2, and the sessions that are opened for them.
create table oauth_applications (
    number {number_key},
    -- Shown as client_id.
    id {uuid} not null unique,
    organization_id {uuid} not null references organizations (id),
    name text not null,
    description text not null,
    -- Lists: separated by spaces.
    grant_types text not null,
    redirect_uris text not null,
    scopes text not null,
    access_level text not null,
    authentication text not null,
    status text not null,
    -- SHA-256; none for a public client.
    secret_hash {bytes},
    -- The secret before it, and until when it is accepted.
    previous_secret_hash {bytes},
    previous_secret_until bigint,
    -- Replaced whenever all its tokens end: sessions of another epoch are dead, and so are tokens in its own name of another own_epoch.
    epoch {uuid} not null,
    own_epoch {uuid} not null unique,
    -- Who made it; none for the operator.
    created_by {uuid},
    -- When an operator took it out of use: until one puts it back, whatever its organization says.
    suspended_at bigint,
    created_at bigint not null,
    updated_at bigint not null,
    -- Known to a minute or so.
    last_used_at bigint,
    unique (organization_id, name)
);

-- The application that a session was opened for, its epoch then, and the API its access tokens are for (none: this installation).
alter table sessions add column application_id {uuid};
alter table sessions add column application_epoch {uuid};
alter table sessions add column audience text;
-- The session whose owner gave the application access, and the contract that had opened it: what the application reaches is bounded by that.
alter table sessions add column approved_by {uuid};
alter table sessions add column approved_contract text;
create index sessions_of_approver on sessions (approved_by) where approved_by is not null;
create index sessions_of_application on sessions (application_id) where application_id is not null;
