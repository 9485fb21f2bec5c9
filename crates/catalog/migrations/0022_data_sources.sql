-- Data sources of organizations, their tests, and what is known of their tables.
create table data_sources (
    number {number_key},
    id {uuid} not null unique,
    organization_id {uuid} not null references organizations (id),
    workspace_id {uuid} not null references workspaces (id),
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
    connection_string {bytes},
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
    credentials {bytes},
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
create unique index data_source_slugs on data_sources (workspace_id, slug) where deleted_at is null;
create index data_sources_of_organization on data_sources (organization_id, deleted_at, number);
create index data_sources_to_check on data_sources (next_check_at) where deleted_at is null;
create index data_sources_to_discover on data_sources (next_discovery_at)
    where deleted_at is null and next_discovery_at is not null;
create index data_sources_to_purge on data_sources (purge_at) where purge_at is not null;

-- Tests that were made, by whomever.
create table data_source_checks (
    number {number_key},
    source_id {uuid} not null,
    -- `active` or `failed`.
    status text not null,
    response_time_ms bigint,
    error_code text,
    checked_at bigint not null,
    expires_at bigint not null
);
create index data_source_checks_of_source on data_source_checks (source_id, number);
create index data_source_checks_by_expiry on data_source_checks (expires_at);

-- One discovery's tables. They are read as long as a row of data_schemas names it.
create table data_generations (
    id {uuid} not null primary key,
    source_id {uuid} not null,
    created_at bigint not null,
    -- When another one took its place.
    retired_at bigint
);
create index data_generations_of_source on data_generations (source_id);

-- The schemas of a source as they were discovered last.
create table data_schemas (
    source_id {uuid} not null,
    name text not null,
    generation_id {uuid} not null,
    table_count bigint not null,
    view_count bigint not null,
    column_count bigint not null,
    discovered_at bigint not null,
    duration_ms bigint not null,
    primary key (source_id, name)
);
create index data_schemas_of_generation on data_schemas (generation_id);

create table data_tables (
    generation_id {uuid} not null,
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
create index data_tables_by_name on data_tables (generation_id, schema_name, name);
