-- What an installation was started with last: to tell an operator of a change that breaks what was issued before.
create table installation_facts (
    name text not null primary key,
    value text not null,
    changed_at bigint not null
);
