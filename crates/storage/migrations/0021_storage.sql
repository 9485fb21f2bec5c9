-- Files, and how much of them each organization keeps.
create table storage_usage (
    organization_id {uuid} not null primary key references organizations (id),
    -- What an operator allows it, in bytes. Null: what its plan does.
    limit_bytes bigint,
    -- Of all its files that are being uploaded, stored or being removed.
    used_bytes bigint not null,
    updated_at bigint not null
);

create table storage_files (
    number {number_key},
    id {uuid} not null unique,
    organization_id {uuid} not null references organizations (id),
    -- Whose it is. The row outlives the account until its file is removed.
    account_id {uuid} not null,
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
create index storage_files_of_account on storage_files (account_id, organization_id, number);
create index storage_files_unsettled on storage_files (state, reserved_until) where state in ('uploading', 'removing');
create index storage_files_removed on storage_files (changed_at) where state = 'removed';
