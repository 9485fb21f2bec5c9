-- Sums of organizations: what their administrators look at costs what a period has quarters or days, whatever was run in it. Sums of one
-- person are found by the keys of their tables.
create table prompt_organization_usage (
    organization_id {uuid} not null,
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
insert into prompt_organization_usage (organization_id, quarter, executions, succeeded, failed, total_ms, ai_ms, query_ms)
    select organization_id, quarter, sum(executions), sum(succeeded), sum(failed), sum(total_ms), sum(ai_ms), sum(query_ms)
    from prompt_usage group by organization_id, quarter;

create table prompt_organization_source_usage (
    organization_id {uuid} not null,
    quarter bigint not null,
    source_number bigint not null,
    executions bigint not null,
    failed bigint not null,
    query_ms bigint not null,
    primary key (organization_id, quarter, source_number)
);
insert into prompt_organization_source_usage (organization_id, quarter, source_number, executions, failed, query_ms)
    select organization_id, quarter, source_number, sum(executions), sum(failed), sum(query_ms)
    from prompt_source_usage group by organization_id, quarter, source_number;

create table prompt_organization_question_usage (
    organization_id {uuid} not null,
    -- Of UTC, since 1970. Days of other time zones are the whole ones of these, and quarters of prompt_question_usage before and after.
    day bigint not null,
    question_key {bytes} not null,
    preview text not null,
    executions bigint not null,
    total_ms bigint not null,
    last_run_at bigint not null,
    primary key (organization_id, day, question_key)
);
insert into prompt_organization_question_usage (organization_id, day, question_key, preview, executions, total_ms, last_run_at)
    select organization_id, quarter / 96, question_key, max(preview), sum(executions), sum(total_ms), max(last_run_at)
    from prompt_question_usage group by organization_id, quarter / 96, question_key;

-- They found what is summed above.
drop index prompt_usage_of_quarter;
drop index prompt_source_usage_of_quarter;

-- The quarters in which a period of one saved question begins and ends are counted.
create index prompt_executions_of_prompt_by_start on prompt_executions (prompt_number, started_at)
    where prompt_number is not null;
