-- Background work. A row is enqueued in the unit of work that wants it, and is deleted when it is done.
create table jobs (
    number {number_key},
    id {uuid} not null unique,
    name text not null,
    -- At most one pending job of a name has it.
    dedupe_key text,
    -- Whom it is about, if it is about one account: it is deleted with the account.
    account_id {uuid},
    -- JSON, sealed under the master key or not.
    payload {bytes} not null,
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
create index jobs_due on jobs (name, run_at) where state <> 'dead';
create index jobs_dead on jobs (run_at) where state = 'dead';
create index jobs_by_account on jobs (account_id) where account_id is not null;
create unique index jobs_by_dedupe_key on jobs (name, dedupe_key) where state = 'pending' and dedupe_key is not null;
create unique index jobs_by_schedule on jobs (name) where scheduled;

-- Messages are claimed likewise.
alter table outbox_messages add column claims bigint not null default 0;
