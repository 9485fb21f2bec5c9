-- Questions that were saved, what became of every question and query, templates, and what all of them come to.
create table prompts (
    number {number_key},
    organization_id {uuid} not null references organizations (id),
    workspace_id {uuid} not null references workspaces (id),
    account_id {uuid} not null,
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
create index prompts_of_account on prompts (organization_id, account_id, number);
create index prompts_to_purge on prompts (purge_at) where purge_at is not null;

create table prompt_executions (
    number {number_key},
    organization_id {uuid} not null references organizations (id),
    workspace_id {uuid} not null references workspaces (id),
    account_id {uuid} not null,
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
    preview {bytes},
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
);
create index prompt_executions_of_account on prompt_executions (organization_id, account_id, number);
create index prompt_executions_by_start on prompt_executions (organization_id, account_id, started_at);
create index prompt_executions_of_prompt on prompt_executions (prompt_number, number) where prompt_number is not null;
create index prompt_executions_running on prompt_executions (lease_until) where lease_until is not null;
create index prompt_executions_running_of_organization on prompt_executions (organization_id, account_id)
    where lease_until is not null;
create index prompt_executions_by_expiry on prompt_executions (expires_at);

-- Results that were read in full: each ran its query once more, which counts against limits of policies.
create table prompt_downloads (
    number {number_key},
    organization_id {uuid} not null references organizations (id),
    account_id {uuid} not null,
    started_at bigint not null
);
create index prompt_downloads_of_account on prompt_downloads (organization_id, account_id, started_at);
create index prompt_downloads_by_start on prompt_downloads (started_at);

-- Sums by quarters of an hour: days of every time zone are made of them.
create table prompt_usage (
    organization_id {uuid} not null,
    account_id {uuid} not null,
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
create index prompt_usage_of_quarter on prompt_usage (organization_id, quarter);
create index prompt_usage_of_prompt on prompt_usage (prompt_number, quarter) where prompt_number > 0;

create table prompt_source_usage (
    organization_id {uuid} not null,
    account_id {uuid} not null,
    quarter bigint not null,
    prompt_number bigint not null,
    source_number bigint not null,
    executions bigint not null,
    failed bigint not null,
    query_ms bigint not null,
    primary key (organization_id, account_id, quarter, prompt_number, source_number)
);
create index prompt_source_usage_of_quarter on prompt_source_usage (organization_id, quarter);
create index prompt_source_usage_of_prompt on prompt_source_usage (prompt_number, quarter) where prompt_number > 0;

create table prompt_question_usage (
    organization_id {uuid} not null,
    account_id {uuid} not null,
    quarter bigint not null,
    -- SHA-256 of the question.
    question_key {bytes} not null,
    -- Its beginning.
    preview text not null,
    executions bigint not null,
    total_ms bigint not null,
    last_run_at bigint not null,
    primary key (organization_id, account_id, quarter, question_key)
);
create index prompt_question_usage_of_quarter on prompt_question_usage (organization_id, quarter);

create table prompt_templates (
    number {number_key},
    organization_id {uuid} not null references organizations (id),
    account_id {uuid} not null,
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
create index prompt_templates_of_organization on prompt_templates (organization_id, number) where deleted_at is null;
create index prompt_templates_to_purge on prompt_templates (purge_at) where purge_at is not null;

-- Also of templates that come with the program, which have no row.
create table prompt_template_usage (
    organization_id {uuid} not null,
    template_number bigint not null,
    executions bigint not null,
    primary key (organization_id, template_number)
);

-- What models cost an organization, by months of UTC.
create table model_spend (
    organization_id {uuid} not null,
    -- Since the year 0.
    month bigint not null,
    -- Millionths of a unit of the currency of the prices.
    micros bigint not null,
    input_tokens bigint not null,
    output_tokens bigint not null,
    primary key (organization_id, month)
);
