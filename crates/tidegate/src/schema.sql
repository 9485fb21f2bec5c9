CREATE TABLE organizations (
    number integer primary key autoincrement,
    id blob not null unique,
    name text not null,
    domain text not null,
    plan text not null,
    settings text not null,
    created_at bigint not null,
    updated_at bigint not null
, metadata text not null default '{}', metadata_bytes bigint not null default 2, access_token_expire_minutes bigint);
CREATE TABLE roles (
    id blob not null primary key,
    organization_id blob not null references organizations (id),
    name text not null,
    unique (organization_id, name)
);
CREATE TABLE workspaces (
    number integer primary key autoincrement,
    id blob not null unique,
    organization_id blob not null references organizations (id),
    name text not null,
    slug text not null,
    is_default boolean not null,
    created_at bigint not null,
    unique (organization_id, slug)
);
CREATE TABLE accounts (
    number integer primary key autoincrement,
    id blob not null unique,
    kind text not null,
    display_name text not null,
    profile_image_url text,
    profile text not null,
    user_metadata text not null,
    is_system_admin boolean not null,
    agreed_to_terms boolean not null,
    terms_version text,
    disabled_at bigint,
    created_at bigint not null,
    updated_at bigint not null
, first_name text not null default '', last_name text not null default '', tombstone text, metadata_bytes bigint not null default 2, language text);
CREATE TABLE passwords (
    account_id blob not null primary key references accounts (id),
    hash text not null,
    changed_at bigint not null
, account_kind text, scheme text);
CREATE TABLE identifiers (
    id blob not null primary key,
    account_id blob not null references accounts (id),
    kind text not null,
    value text not null,
    verified_at bigint,
    is_primary boolean not null,
    created_at bigint not null,
    unique (kind, value)
);
CREATE INDEX identifiers_of_account on identifiers (account_id);
CREATE UNIQUE INDEX one_primary_identifier on identifiers (account_id, kind) where is_primary;
CREATE TABLE memberships (
    id blob not null primary key,
    account_id blob not null references accounts (id),
    organization_id blob not null references organizations (id),
    role text not null,
    source text not null,
    joined_at bigint not null, is_home boolean not null default false, accepted_at bigint,
    unique (account_id, organization_id)
);
CREATE UNIQUE INDEX one_owner_per_organization on memberships (organization_id) where role = 'owner';
CREATE TABLE membership_workspaces (
    membership_id blob not null references memberships (id),
    workspace_id blob not null references workspaces (id),
    primary key (membership_id, workspace_id)
);
CREATE TABLE sessions (
    number integer primary key autoincrement,
    id blob not null unique,
    account_id blob not null references accounts (id),
    organization_id blob not null references organizations (id),
    workspace_id blob references workspaces (id),
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
, service_key_id blob, database_id blob, frontend_user text, frontend_session text, token_hash blob, auth_time bigint, scope text, application_id blob, application_epoch blob, audience text, approved_by blob, approved_contract text, dpop_jkt text, subject_id blob, told_claims text);
CREATE INDEX sessions_of_account on sessions (account_id, created_at);
CREATE INDEX sessions_by_end on sessions (ends_at);
CREATE TABLE refresh_tokens (
    id blob not null primary key,
    session_id blob not null references sessions (id),
    token_hash blob not null unique,
    parent_id blob unique references refresh_tokens (id),
    issued_at bigint not null,
    expires_at bigint not null);
CREATE INDEX refresh_tokens_of_session on refresh_tokens (session_id);
CREATE TABLE challenges (
    id blob not null primary key,
    account_id blob references accounts (id),
    purpose text not null,
    address text not null,
    handle_hash blob unique,
    link_hash blob unique,
    code_mac blob,
    attempts bigint not null,
    link_uses bigint not null default 0,
    dialect text not null,
    continuation text not null,
    created_at bigint not null,
    expires_at bigint not null,
    consumed_at bigint
);
CREATE INDEX challenges_of_account on challenges (account_id, purpose);
CREATE INDEX challenges_by_expiry on challenges (expires_at);
CREATE TABLE audit_events (
    number integer primary key autoincrement,
    id blob not null unique,
    at bigint not null,
    action text not null,
    account_id blob,
    organization_id blob,
    session_id blob,
    dialect text not null,
    ip text not null,
    user_agent text not null,
    metadata text not null
, repeats bigint not null default 1, origin text);
CREATE INDEX audit_events_of_account on audit_events (account_id, action, number);
CREATE TABLE outbox_messages (
    number integer primary key autoincrement,
    id blob not null unique,
    idempotency_key text not null unique,
    channel text not null,
    template text not null,
    recipient text not null,
    payload blob,
    state text not null,
    attempts bigint not null,
    next_attempt_at bigint not null,
    leased_until bigint not null,
    last_error text,
    created_at bigint not null,
    settled_at bigint
, provider text, provider_message_id text, receipt text, receipt_reason text, receipt_at bigint, claims bigint not null default 0);
CREATE INDEX outbox_messages_due on outbox_messages (state, next_attempt_at);
CREATE INDEX outbox_messages_by_recipient on outbox_messages (recipient, number);
CREATE TABLE idempotency_records (
    key_mac blob not null primary key,
    fingerprint blob not null,
    response blob not null,
    created_at bigint not null,
    expires_at bigint not null
);
CREATE INDEX idempotency_records_by_expiry on idempotency_records (expires_at);
CREATE TABLE rate_limit_buckets (
    bucket blob not null primary key,
    count bigint not null,
    resets_at bigint not null
);
CREATE INDEX rate_limit_buckets_by_reset on rate_limit_buckets (resets_at);
CREATE TABLE signing_keys (
    kid text not null primary key,
    algorithm text not null,
    sealed blob not null,
    created_at bigint not null,
    retired_at bigint
, id_tokens_only boolean not null default false);
CREATE INDEX accounts_deleted on accounts (disabled_at) where tombstone is not null;
CREATE UNIQUE INDEX one_home_per_account on memberships (account_id) where is_home;
CREATE INDEX members_at_home on memberships (organization_id, id) where is_home;
CREATE TABLE service_keys (
    id blob not null primary key,
    account_id blob not null references accounts (id),
    key_hash blob not null unique,
    metadata text not null,
    created_at bigint not null,
    expires_at bigint
, metadata_bytes bigint not null default 2);
CREATE INDEX service_keys_of_account on service_keys (account_id, created_at);
CREATE TABLE databases (
    number integer primary key autoincrement,
    id blob not null unique,
    organization_id blob not null references organizations (id),
    name text not null,
    description text not null,
    item_id_type text not null,
    user_id_type text not null,
    session_id_type text not null,
    metadata text not null,
    created_at bigint not null,
    ready_at bigint not null,
    -- From then on it looks like none; what is in it is removed little by little.
    deleted_at bigint
, metadata_bytes bigint not null default 2);
CREATE UNIQUE INDEX databases_by_name on databases (organization_id, name) where deleted_at is null;
CREATE INDEX databases_deleted on databases (deleted_at) where deleted_at is not null;
CREATE TABLE resolved_sessions (
    database_id blob not null references databases (id),
    session_ident blob not null,
    user_ident blob not null,
    at bigint not null,
    primary key (database_id, session_ident)
);
CREATE INDEX resolved_sessions_of_user on resolved_sessions (database_id, user_ident, session_ident);
CREATE INDEX sessions_of_service_key on sessions (service_key_id) where service_key_id is not null;
CREATE UNIQUE INDEX sessions_by_token on sessions (token_hash) where token_hash is not null;
CREATE INDEX challenges_by_address on challenges (address, purpose, created_at);
CREATE INDEX outbox_messages_by_receipt on outbox_messages (provider_message_id) where provider_message_id is not null;
CREATE TABLE brokerage_accounts (
    account_id blob not null references accounts (id),
    broker text not null,
    -- E-mail address and date of birth as the broker knows them, sealed.
    person blob,
    broker_account_id blob,
    status text not null,
    -- An opening that has no answer yet. What it was asked with is sealed; it holds no tax number and no document.
    opening_id blob,
    opening blob,
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
CREATE UNIQUE INDEX brokerage_accounts_at_broker on brokerage_accounts (broker, broker_account_id)
    where broker_account_id is not null;
CREATE INDEX brokerage_accounts_due on brokerage_accounts (broker, check_at) where check_at is not null;
CREATE TABLE broker_cursors (
    broker text not null primary key,
    cursor text,
    leased_until bigint not null
);
CREATE TABLE sandbox_accounts (
    id blob not null primary key,
    email text not null unique,
    revision bigint not null,
    -- When the last status begins that is planned.
    last_step_at bigint not null,
    sealed blob not null
);
CREATE INDEX sandbox_accounts_by_step on sandbox_accounts (last_step_at);
CREATE INDEX passwords_by_scheme on passwords (account_kind, scheme);
CREATE INDEX databases_of_organization on databases (organization_id) where deleted_at is null;
CREATE TABLE organization_usage (
    organization_id blob not null primary key references organizations (id),
    -- Counted as they come and go, because there may be too many to count anew at each sign-in.
    resolved_sessions bigint not null
);
CREATE TABLE managed_domains (
    domain text not null primary key,
    organization_id blob not null references organizations (id),
    created_at bigint not null
);
CREATE INDEX managed_domains_of_organization on managed_domains (organization_id);
CREATE TABLE known_networks (
    account_id blob not null references accounts (id),
    network_mac blob not null,
    last_success_at bigint not null,
    primary key (account_id, network_mac)
);
CREATE INDEX known_networks_by_age on known_networks (last_success_at);
CREATE INDEX audit_events_by_age on audit_events (at);
CREATE INDEX audit_events_without_account on audit_events (at) where account_id is null;
CREATE INDEX outbox_messages_open on outbox_messages (channel, next_attempt_at) where settled_at is null;
CREATE TABLE jobs (
    number integer primary key autoincrement,
    id blob not null unique,
    name text not null,
    -- At most one pending job of a name has it.
    dedupe_key text,
    -- Whom it is about, if it is about one account: it is deleted with the account.
    account_id blob,
    -- JSON, sealed under the master key or not.
    payload blob not null,
    sealed boolean not null,
    -- The one row of a job that runs by schedule.
    scheduled boolean not null,
    -- pending, running or dead
    state text not null,
    attempts bigint not null,
    -- How often it was claimed: only the last claim settles it.
    claims bigint not null,
    run_at bigint not null,
    leased_until bigint not null,
    last_error text,
    created_at bigint not null
);
CREATE INDEX jobs_due on jobs (name, run_at) where state <> 'dead';
CREATE INDEX jobs_dead on jobs (run_at) where state = 'dead';
CREATE INDEX jobs_by_account on jobs (account_id) where account_id is not null;
CREATE UNIQUE INDEX jobs_by_dedupe_key on jobs (name, dedupe_key) where state = 'pending' and dedupe_key is not null;
CREATE UNIQUE INDEX jobs_by_schedule on jobs (name) where scheduled;
CREATE TABLE second_factors (
    number integer primary key autoincrement,
    id blob not null unique,
    account_id blob not null references accounts (id),
    kind text not null,
    -- What the owner calls the device; empty for codes that are sent.
    name text not null,
    -- The TOTP seed, sealed; until it is verified also the backup codes that go with it. Null for codes that are sent.
    sealed blob,
    -- The last time step whose code was accepted (RFC 6238 section 5.2).
    last_step bigint not null,
    is_primary boolean not null,
    created_at bigint not null,
    verified_at bigint,
    last_used_at bigint,
    -- Until when it can be verified.
    expires_at bigint
);
CREATE INDEX second_factors_of_account on second_factors (account_id);
CREATE INDEX unverified_second_factors on second_factors (expires_at) where verified_at is null;
CREATE TABLE recovery_codes (
    id blob not null primary key,
    account_id blob not null references accounts (id),
    -- Keyed hash: 40 bits are soon tried without the key.
    code_mac blob not null,
    created_at bigint not null,
    used_at bigint
);
CREATE INDEX recovery_codes_of_account on recovery_codes (account_id);
CREATE TABLE trusted_devices (
    number integer primary key autoincrement,
    id blob not null unique,
    account_id blob not null references accounts (id),
    name text not null,
    -- Keyed hash of the network's class, the user agent and what the client sent of itself.
    fingerprint blob not null,
    ip text not null,
    user_agent text not null,
    created_at bigint not null,
    -- SHA-256 of the activation token; null once it was used.
    activation_hash blob unique,
    activation_expires_at bigint not null,
    -- When its owner asked to trust it.
    activated_at bigint,
    last_used_at bigint
);
CREATE INDEX trusted_devices_of_account on trusted_devices (account_id);
CREATE INDEX inactive_devices on trusted_devices (activation_expires_at) where activated_at is null;
CREATE TABLE second_factor_rules (
    organization_id blob not null primary key references organizations (id),
    admits_without boolean not null,
    changed_at bigint not null
);
CREATE TABLE passkeys (
    number integer primary key autoincrement,
    id blob not null unique,
    account_id blob not null references accounts (id),
    -- What the owner calls it.
    name text not null,
    -- Unique in the installation: one credential signs in to one account.
    credential_id blob not null unique,
    -- The public key and what was said at the registration, JSON.
    credential text not null,
    -- The signature counter of the last use; 0 where the authenticator keeps none.
    sign_count bigint not null,
    -- Whether it may be synchronized to other devices, and whether it was at its last use.
    backup_eligible boolean not null,
    backed_up boolean not null,
    -- The model of the authenticator, as it says itself.
    aaguid blob not null,
    -- The ways to the authenticator, with a space between them; empty where the client named none.
    transports text not null,
    created_at bigint not null,
    last_used_at bigint,
    use_count bigint not null
);
CREATE INDEX passkeys_of_account on passkeys (account_id);
CREATE TABLE access_tokens (
    number integer primary key autoincrement,
    id blob not null unique,
    -- Whose it is, and for whom it acts.
    account_id blob not null references accounts (id),
    -- Where it acts.
    organization_id blob not null references organizations (id),
    -- Whether it was made for that organization, whose admins see and revoke it.
    for_organization boolean not null,
    -- The role of its owner when it was made. It never allows more, whatever the role becomes.
    role text not null,
    -- The contract that issued it.
    contract text not null,
    name text not null,
    token_hash blob not null unique,
    -- Separated by spaces.
    scope text not null,
    created_at bigint not null,
    -- Null: until it is revoked.
    expires_at bigint,
    -- Known to a minute or so.
    last_used_at bigint
);
CREATE INDEX access_tokens_of_account on access_tokens (account_id);
CREATE INDEX access_tokens_of_organization on access_tokens (organization_id) where for_organization;
CREATE INDEX access_tokens_by_expiry on access_tokens (expires_at) where expires_at is not null;
CREATE TABLE oauth_applications (
    number integer primary key autoincrement,
    -- Shown as client_id.
    id blob not null unique,
    organization_id blob not null references organizations (id),
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
    secret_hash blob,
    -- The secret before it, and until when it is accepted.
    previous_secret_hash blob,
    previous_secret_until bigint,
    -- Replaced whenever all its tokens end: sessions of another epoch are dead, and so are tokens in its own name of another own_epoch.
    epoch blob not null,
    own_epoch blob not null unique,
    -- Who made it; none for the operator.
    created_by blob,
    -- When an operator took it out of use: until one puts it back, whatever its organization says.
    suspended_at bigint,
    created_at bigint not null,
    updated_at bigint not null,
    -- Known to a minute or so.
    last_used_at bigint, metadata text, sealed_secret blob, registration_hash blob, document_uri text, document_read_at bigint, dpop_bound boolean not null default false, exchange_from text not null default '', exchange_to text not null default '', userinfo_signed boolean not null default false, pairwise_sector text, post_logout_redirect_uris text not null default '', backchannel_logout_uri text, backchannel_logout_session_required boolean not null default false, registered_from text,
    unique (organization_id, name)
);
CREATE INDEX sessions_of_approver on sessions (approved_by) where approved_by is not null;
CREATE TABLE oauth_codes (
    id blob not null primary key,
    code_hash blob not null unique,
    application_id blob not null,
    -- The application's epoch when it was made.
    application_epoch blob not null,
    account_id blob not null references accounts (id),
    -- The session that approved it: it ends with that.
    session_id blob not null,
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
    opened_session_id blob
, id_token_claims text, dpop_jkt text, userinfo_claims text);
CREATE INDEX oauth_codes_of_account on oauth_codes (account_id);
CREATE INDEX oauth_codes_of_application on oauth_codes (application_id);
CREATE INDEX oauth_codes_by_expiry on oauth_codes (expires_at);
CREATE TABLE oauth_consents (
    account_id blob not null references accounts (id),
    application_id blob not null,
    -- The contract whose client asked, `browser` for the hosted page; `membership` where nobody was asked, because the application is one of
    -- an organization of theirs.
    given_through text not null,
    -- All that was ever allowed, separated by spaces.
    scope text not null,
    created_at bigint not null,
    updated_at bigint not null,
    primary key (account_id, application_id, given_through)
);
CREATE INDEX oauth_consents_of_application on oauth_consents (application_id);
CREATE UNIQUE INDEX oauth_applications_by_registration on oauth_applications (registration_hash)
    where registration_hash is not null;
CREATE UNIQUE INDEX oauth_applications_by_document on oauth_applications (document_uri) where document_uri is not null;
CREATE TABLE oauth_used_assertions (
    -- SHA-256 of who issued it and how they call it.
    fingerprint blob not null primary key,
    expires_at bigint not null
);
CREATE INDEX oauth_used_assertions_by_expiry on oauth_used_assertions (expires_at);
CREATE TABLE oauth_pushed_requests (
    -- SHA-256 of the last part of its request_uri.
    hash blob not null primary key,
    application_id blob not null,
    -- Its parameters as JSON, sealed.
    parameters blob not null,
    -- Whether the client signed them (RFC 9101).
    signed boolean not null,
    created_at bigint not null,
    expires_at bigint not null,
    -- When it was first brought: from then on it lives as long as a sign-in may take.
    opened_at bigint,
    -- When it was answered: once.
    used_at bigint
);
CREATE INDEX oauth_pushed_requests_by_expiry on oauth_pushed_requests (expires_at);
CREATE INDEX oauth_pushed_requests_of_application on oauth_pushed_requests (application_id);
CREATE TABLE oauth_registration_tokens (
    id blob not null primary key,
    hash blob not null unique,
    organization_id blob not null references organizations (id),
    -- How many more may be registered with it.
    uses_left bigint not null,
    created_at bigint not null,
    expires_at bigint not null
);
CREATE INDEX oauth_registration_tokens_of_organization on oauth_registration_tokens (organization_id);
CREATE TABLE oauth_device_codes (
    id blob not null primary key,
    -- SHA-256 of what the device polls with.
    device_code_hash blob not null unique,
    -- What the person types is short: a hash without a key would be searched through.
    user_code_mac blob not null unique,
    application_id blob not null,
    -- The application's epoch when it asked.
    application_epoch blob not null,
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
    account_id blob references accounts (id),
    session_id blob,
    decided_at bigint,
    created_at bigint not null,
    expires_at bigint not null,
    -- When it was exchanged, and the session that opened.
    used_at bigint,
    opened_session_id blob
);
CREATE INDEX oauth_device_codes_of_account on oauth_device_codes (account_id) where account_id is not null;
CREATE INDEX oauth_device_codes_of_application on oauth_device_codes (application_id);
CREATE INDEX oauth_device_codes_by_expiry on oauth_device_codes (expires_at);
CREATE TABLE dpop_proofs (
    -- Digest of the key and of the proof's name.
    id blob not null primary key,
    expires_at bigint not null
);
CREATE INDEX dpop_proofs_by_expiry on dpop_proofs (expires_at);
CREATE TABLE oauth_pairwise_keys (
    id bigint not null primary key,
    sealed blob not null,
    created_at bigint not null
);
CREATE TABLE social_accounts (
    number integer primary key autoincrement,
    id blob not null unique,
    account_id blob not null references accounts (id),
    -- The provider's name in the configuration, and who it says has issued the subject.
    provider text not null,
    issuer text not null,
    -- What the issuer calls the person, for good. Addresses and names change.
    subject text not null,
    -- What the provider last said; empty where it said nothing.
    email text not null,
    display_name text not null,
    -- The provider's tokens, JSON. Sealed.
    tokens blob not null,
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
CREATE INDEX social_accounts_of_account on social_accounts (account_id);
CREATE TABLE social_requests (
    id blob not null primary key,
    provider text not null,
    -- SHA-256 of the state. Not unique: a client may choose it.
    state_hash blob not null,
    -- SHA-256 of the nonce.
    nonce_hash blob not null unique,
    -- SHA-256 of the cookie of the browser that began it.
    browser_hash blob not null,
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
, carried text);
CREATE INDEX social_requests_by_state on social_requests (state_hash);
CREATE INDEX social_requests_by_expiry on social_requests (expires_at);
CREATE TABLE storage_usage (
    organization_id blob not null primary key references organizations (id),
    -- What an operator allows it, in bytes. Null: what its plan does.
    limit_bytes bigint,
    -- Of all its files that are being uploaded, stored or being removed.
    used_bytes bigint not null,
    updated_at bigint not null
);
CREATE TABLE storage_files (
    number integer primary key autoincrement,
    id blob not null unique,
    organization_id blob not null references organizations (id),
    -- Whose it is. The row outlives the account until its file is removed.
    account_id blob not null,
    -- Its key in the store, and the part of it up to the last slash.
    object_name text not null unique,
    folder text not null,
    -- What it was called when it was uploaded, and what it is called in the store.
    file_name text not null,
    unique_name text not null,
    category text not null,
    -- What it is by its content and name, not by what was said of it.
    content_type text not null,
    size_bytes bigint not null,
    -- With its quotes.
    etag text not null,
    -- uploading: its bytes are reserved, it may be in the store; stored; removing; removed; missing: the store has lost it.
    state text not null,
    created_at bigint not null,
    changed_at bigint not null,
    -- Until when its bytes are reserved for an upload.
    reserved_until bigint not null
);
CREATE INDEX storage_files_of_account on storage_files (account_id, organization_id, number);
CREATE INDEX storage_files_unsettled on storage_files (state, reserved_until) where state in ('uploading', 'removing');
CREATE INDEX storage_files_removed on storage_files (changed_at) where state = 'removed';
CREATE TABLE data_sources (
    number integer primary key autoincrement,
    id blob not null unique,
    organization_id blob not null references organizations (id),
    workspace_id blob not null references workspaces (id),
    name text not null,
    -- What it is called in SQL.
    slug text not null,
    kind text not null,
    description text,
    host text,
    port bigint,
    database_name text,
    schema_name text,
    -- Sealed, and as it is shown.
    connection_string blob,
    connection_string_shown text,
    -- An object of the storage.
    file_path text,
    use_ssh_tunnel boolean not null,
    ssh_host text,
    ssh_port bigint,
    ssh_username text,
    ssh_local_port bigint,
    -- The key that the tunnel's server showed first.
    ssh_host_key text,
    pool_size bigint not null,
    -- Seconds.
    connection_timeout bigint not null,
    query_timeout bigint not null,
    max_retries bigint not null,
    schema_auto_refresh boolean not null,
    schema_refresh_interval bigint not null,
    -- JSON, as it was sent.
    metadata text not null,
    tags text not null,
    -- Name and description in small letters.
    search_text text not null,
    -- Sealed. Null: none.
    credentials blob,
    credentials_updated_at bigint,
    -- Counts changes of what it is connected with: a test is of one version.
    version bigint not null,
    status text not null,
    last_tested_at bigint,
    last_success_at bigint,
    last_failure_at bigint,
    -- In a row.
    failure_count bigint not null,
    failure_reason text,
    schema_discovered_at bigint,
    next_check_at bigint not null,
    -- Null: none is due.
    next_discovery_at bigint,
    queries_succeeded bigint not null,
    queries_failed bigint not null,
    query_micros bigint not null,
    -- Numbers of accounts, which may be gone.
    created_by bigint not null,
    updated_by bigint,
    created_at bigint not null,
    updated_at bigint not null,
    deleted_at bigint,
    -- When a deleted one is removed for good.
    purge_at bigint
);
CREATE UNIQUE INDEX data_source_slugs on data_sources (workspace_id, slug) where deleted_at is null;
CREATE INDEX data_sources_of_organization on data_sources (organization_id, deleted_at, number);
CREATE INDEX data_sources_to_check on data_sources (next_check_at) where deleted_at is null;
CREATE INDEX data_sources_to_discover on data_sources (next_discovery_at)
    where deleted_at is null and next_discovery_at is not null;
CREATE INDEX data_sources_to_purge on data_sources (purge_at) where purge_at is not null;
CREATE TABLE data_source_checks (
    number integer primary key autoincrement,
    source_id blob not null,
    -- `active` or `failed`.
    status text not null,
    response_time_ms bigint,
    error_code text,
    checked_at bigint not null,
    expires_at bigint not null
);
CREATE INDEX data_source_checks_of_source on data_source_checks (source_id, number);
CREATE INDEX data_source_checks_by_expiry on data_source_checks (expires_at);
CREATE TABLE data_generations (
    id blob not null primary key,
    source_id blob not null,
    created_at bigint not null,
    -- When another one took its place.
    retired_at bigint
);
CREATE INDEX data_generations_of_source on data_generations (source_id);
CREATE TABLE data_schemas (
    source_id blob not null,
    name text not null,
    generation_id blob not null,
    table_count bigint not null,
    view_count bigint not null,
    column_count bigint not null,
    discovered_at bigint not null,
    duration_ms bigint not null,
    primary key (source_id, name)
);
CREATE INDEX data_schemas_of_generation on data_schemas (generation_id);
CREATE TABLE data_tables (
    generation_id blob not null,
    schema_name text not null,
    -- In the order of the source, from 0.
    place bigint not null,
    name text not null,
    kind text not null,
    row_count bigint,
    comment text,
    -- JSON; see catalog/src/schemas/stored.rs.
    columns text not null,
    primary key (generation_id, schema_name, place)
);
CREATE INDEX data_tables_by_name on data_tables (generation_id, schema_name, name);
CREATE INDEX oauth_applications_by_origin on oauth_applications (registered_from) where registered_from is not null;
CREATE TABLE policies (
    number integer primary key autoincrement,
    id blob not null unique,
    organization_id blob not null references organizations (id),
    -- Null: of the organization.
    workspace_id blob references workspaces (id),
    name text not null,
    description text,
    kind text not null,
    is_active boolean not null,
    priority bigint not null,
    -- JSON, as it was sent.
    metadata text not null,
    -- Name and description in small letters.
    search_text text not null,
    -- Counts changes of it, of its rules and of its assignments.
    version bigint not null,
    -- Numbers of accounts, which may be gone.
    created_by bigint not null,
    updated_by bigint,
    created_at bigint not null,
    updated_at bigint not null,
    deleted_at bigint
);
CREATE INDEX policies_of_organization on policies (organization_id, deleted_at, number);
CREATE INDEX policies_by_deletion on policies (deleted_at) where deleted_at is not null;
CREATE TABLE policy_rules (
    number integer primary key autoincrement,
    policy_id blob not null references policies (id),
    name text not null,
    kind text not null,
    -- JSON, as it was sent.
    config text not null,
    rule_order bigint not null,
    is_active boolean not null,
    created_at bigint not null,
    updated_at bigint not null
);
CREATE INDEX policy_rules_of_policy on policy_rules (policy_id, rule_order, number);
CREATE TABLE policy_assignments (
    number integer primary key autoincrement,
    policy_id blob not null references policies (id),
    -- Numbers, of things that may be gone.
    data_source_id bigint,
    dataset_id bigint,
    query_id bigint,
    role_id bigint,
    user_id bigint,
    workspace_id bigint,
    group_name text,
    is_active boolean not null,
    metadata text not null,
    applied_at bigint not null,
    applied_by bigint not null
);
CREATE INDEX policy_assignments_of_policy on policy_assignments (policy_id, number);
CREATE INDEX policy_assignments_of_user on policy_assignments (user_id) where user_id is not null;
CREATE TABLE policy_evaluations (
    number integer primary key autoincrement,
    organization_id blob not null references organizations (id),
    -- Null: no policy had a part in it.
    policy_number bigint,
    policy_version bigint,
    rule_number bigint,
    user_id bigint not null,
    query_id bigint,
    data_source_id bigint not null,
    dataset_id bigint,
    relation text not null,
    result text not null,
    action text not null,
    -- JSON.
    details text not null,
    ip text not null,
    -- JSON.
    metadata text not null,
    evaluated_at bigint not null,
    expires_at bigint not null
);
CREATE INDEX policy_evaluations_of_policy on policy_evaluations (policy_number, evaluated_at, number);
CREATE INDEX policy_evaluations_of_user on policy_evaluations (user_id);
CREATE INDEX policy_evaluations_by_expiry on policy_evaluations (expires_at);
CREATE TABLE policy_hash_keys (
    organization_id blob not null primary key references organizations (id),
    sealed blob not null,
    created_at bigint not null
);
CREATE TABLE prompts (
    number integer primary key autoincrement,
    organization_id blob not null references organizations (id),
    workspace_id blob not null references workspaces (id),
    account_id blob not null,
    -- The number of that account.
    created_by bigint not null,
    name text,
    prompt_text text not null,
    -- Name and text in small letters.
    search_text text not null,
    -- Numbers of data sources, between commas: `,3,5,`.
    sources text not null,
    -- JSON: names.
    schemas text not null,
    -- JSON, as they were sent.
    tags text not null,
    metadata text not null,
    -- Of its latest execution.
    status text not null,
    last_execution bigint,
    last_ms bigint,
    last_run_at bigint not null,
    created_at bigint not null,
    updated_at bigint not null,
    deleted_at bigint,
    -- When a deleted one is removed for good.
    purge_at bigint
);
CREATE INDEX prompts_of_account on prompts (organization_id, account_id, number);
CREATE INDEX prompts_to_purge on prompts (purge_at) where purge_at is not null;
CREATE TABLE prompt_executions (
    number integer primary key autoincrement,
    organization_id blob not null references organizations (id),
    workspace_id blob not null references workspaces (id),
    account_id blob not null,
    account_number bigint not null,
    -- `prompt`, `template` or `sql`.
    kind text not null,
    prompt_number bigint,
    template_number bigint,
    -- What was asked, in words or in SQL.
    question text not null,
    -- What was run. Null: nothing yet.
    sql text,
    -- JSON: values of its placeholders, in their order.
    parameters text not null,
    sources text not null,
    schemas text not null,
    -- As it was asked for; null: whatever is usual.
    ai_model text,
    ai_model_used text,
    ai_request_id text,
    -- JSON; see prompts/src/executions/execution.rs.
    ai_metadata text,
    status text not null,
    ai_status text not null,
    query_status text,
    progress bigint not null,
    rows_returned bigint,
    -- JSON: names and types.
    columns text,
    -- Sealed: the first rows, as they were shown.
    preview blob,
    -- What the person might see when they were: they are not shown under any other.
    preview_key text,
    ai_ms bigint,
    query_ms bigint,
    total_ms bigint,
    error_code text,
    error_message text,
    -- Until when its node holds it. Null: it is over.
    lease_until bigint,
    started_at bigint not null,
    completed_at bigint,
    expires_at bigint not null
, draft text, draft_attempt bigint);
CREATE INDEX prompt_executions_of_account on prompt_executions (organization_id, account_id, number);
CREATE INDEX prompt_executions_by_start on prompt_executions (organization_id, account_id, started_at);
CREATE INDEX prompt_executions_of_prompt on prompt_executions (prompt_number, number) where prompt_number is not null;
CREATE INDEX prompt_executions_running on prompt_executions (lease_until) where lease_until is not null;
CREATE INDEX prompt_executions_running_of_organization on prompt_executions (organization_id, account_id)
    where lease_until is not null;
CREATE INDEX prompt_executions_by_expiry on prompt_executions (expires_at);
CREATE TABLE prompt_downloads (
    number integer primary key autoincrement,
    organization_id blob not null references organizations (id),
    account_id blob not null,
    started_at bigint not null
);
CREATE INDEX prompt_downloads_of_account on prompt_downloads (organization_id, account_id, started_at);
CREATE INDEX prompt_downloads_by_start on prompt_downloads (started_at);
CREATE TABLE prompt_usage (
    organization_id blob not null,
    account_id blob not null,
    -- Since 1970.
    quarter bigint not null,
    -- 0: it was not saved.
    prompt_number bigint not null,
    executions bigint not null,
    succeeded bigint not null,
    failed bigint not null,
    total_ms bigint not null,
    ai_ms bigint not null,
    query_ms bigint not null,
    primary key (organization_id, account_id, quarter, prompt_number)
);
CREATE INDEX prompt_usage_of_prompt on prompt_usage (prompt_number, quarter) where prompt_number > 0;
CREATE TABLE prompt_source_usage (
    organization_id blob not null,
    account_id blob not null,
    quarter bigint not null,
    prompt_number bigint not null,
    source_number bigint not null,
    executions bigint not null,
    failed bigint not null,
    query_ms bigint not null,
    primary key (organization_id, account_id, quarter, prompt_number, source_number)
);
CREATE INDEX prompt_source_usage_of_prompt on prompt_source_usage (prompt_number, quarter) where prompt_number > 0;
CREATE TABLE prompt_question_usage (
    organization_id blob not null,
    account_id blob not null,
    quarter bigint not null,
    -- SHA-256 of the question.
    question_key blob not null,
    -- Its beginning.
    preview text not null,
    executions bigint not null,
    total_ms bigint not null,
    last_run_at bigint not null,
    primary key (organization_id, account_id, quarter, question_key)
);
CREATE INDEX prompt_question_usage_of_quarter on prompt_question_usage (organization_id, quarter);
CREATE TABLE prompt_templates (
    number integer primary key autoincrement,
    organization_id blob not null references organizations (id),
    account_id blob not null,
    created_by bigint not null,
    name text not null,
    description text,
    -- Words or SQL, with placeholders.
    template_text text not null,
    -- JSON; see prompts/src/templates/parameter.rs.
    parameters text not null,
    category text not null,
    tags text not null,
    icon_url text,
    status text not null,
    sources text not null,
    is_public boolean not null,
    -- Name and description in small letters.
    search_text text not null,
    created_at bigint not null,
    updated_at bigint not null,
    deleted_at bigint,
    purge_at bigint
);
CREATE INDEX prompt_templates_of_organization on prompt_templates (organization_id, number) where deleted_at is null;
CREATE INDEX prompt_templates_to_purge on prompt_templates (purge_at) where purge_at is not null;
CREATE TABLE prompt_template_usage (
    organization_id blob not null,
    template_number bigint not null,
    executions bigint not null,
    primary key (organization_id, template_number)
);
CREATE TABLE model_spend (
    organization_id blob not null,
    -- Since the year 0.
    month bigint not null,
    -- Millionths of a unit of the currency of the prices.
    micros bigint not null,
    input_tokens bigint not null,
    output_tokens bigint not null,
    primary key (organization_id, month)
);
CREATE TABLE prompt_organization_usage (
    organization_id blob not null,
    -- Of an hour, since 1970.
    quarter bigint not null,
    executions bigint not null,
    succeeded bigint not null,
    failed bigint not null,
    total_ms bigint not null,
    ai_ms bigint not null,
    query_ms bigint not null,
    primary key (organization_id, quarter)
);
CREATE TABLE prompt_organization_source_usage (
    organization_id blob not null,
    quarter bigint not null,
    source_number bigint not null,
    executions bigint not null,
    failed bigint not null,
    query_ms bigint not null,
    primary key (organization_id, quarter, source_number)
);
CREATE TABLE prompt_organization_question_usage (
    organization_id blob not null,
    -- Of UTC, since 1970. Days of other time zones are the whole ones of these, and quarters of prompt_question_usage before and after.
    day bigint not null,
    question_key blob not null,
    preview text not null,
    executions bigint not null,
    total_ms bigint not null,
    last_run_at bigint not null,
    primary key (organization_id, day, question_key)
);
CREATE INDEX prompt_executions_of_prompt_by_start on prompt_executions (prompt_number, started_at)
    where prompt_number is not null;
CREATE TABLE prompt_sum_checks (
    organization_id blob not null primary key,
    -- Until when they are compared. Null: they never were.
    ends_at bigint
);
CREATE INDEX prompt_question_usage_of_question on prompt_question_usage (organization_id, question_key, quarter);
CREATE INDEX prompt_organization_question_usage_most
    on prompt_organization_question_usage (organization_id, day, executions, question_key);
CREATE INDEX prompt_organization_question_usage_of_question
    on prompt_organization_question_usage (organization_id, question_key, day, executions);
CREATE TABLE installation_facts (
    name text not null primary key,
    value text not null,
    changed_at bigint not null
);
CREATE INDEX sessions_of_application on sessions (application_id, account_id, revoked_at, number) where application_id is not null;
