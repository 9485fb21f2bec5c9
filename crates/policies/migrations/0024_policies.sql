-- Policies of organizations, to what they are assigned, and what they decided.
create table policies (
    number {number_key},
    id {uuid} not null unique,
    organization_id {uuid} not null references organizations (id),
    -- Null: of the organization.
    workspace_id {uuid} references workspaces (id),
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
create index policies_of_organization on policies (organization_id, deleted_at, number);
create index policies_by_deletion on policies (deleted_at) where deleted_at is not null;

create table policy_rules (
    number {number_key},
    policy_id {uuid} not null references policies (id),
    name text not null,
    kind text not null,
    -- JSON, as it was sent.
    config text not null,
    rule_order bigint not null,
    is_active boolean not null,
    created_at bigint not null,
    updated_at bigint not null
);
create index policy_rules_of_policy on policy_rules (policy_id, rule_order, number);

-- All targets that a row names must match; rows of a policy are alternatives.
create table policy_assignments (
    number {number_key},
    policy_id {uuid} not null references policies (id),
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
create index policy_assignments_of_policy on policy_assignments (policy_id, number);
create index policy_assignments_of_user on policy_assignments (user_id) where user_id is not null;

-- What was decided, one row for each relation that a query read and each policy that had a part in it.
create table policy_evaluations (
    number {number_key},
    organization_id {uuid} not null references organizations (id),
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
create index policy_evaluations_of_policy on policy_evaluations (policy_number, evaluated_at, number);
create index policy_evaluations_of_user on policy_evaluations (user_id);
create index policy_evaluations_by_expiry on policy_evaluations (expires_at);

-- What hashed values are made with, one key for each organization, sealed. It never changes: hashes stay comparable.
create table policy_hash_keys (
    organization_id {uuid} not null primary key references organizations (id),
    sealed {bytes} not null,
    created_at bigint not null
);
