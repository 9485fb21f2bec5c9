-- Networks that accounts have signed in from: wrong passwords and codes of strangers do not lock these out.
create table known_networks (
    account_id {uuid} not null references accounts (id),
    network_mac {bytes} not null,
    last_success_at bigint not null,
    primary key (account_id, network_mac)
);
create index known_networks_by_age on known_networks (last_success_at);

-- How many attempts an audit event stands for.
alter table audit_events add column repeats bigint not null default 1;
create index audit_events_by_age on audit_events (at);
create index audit_events_without_account on audit_events (at) where account_id is null;

-- What is still to be delivered or, where nobody is to get it, to be put away with the same work.
create index outbox_messages_open on outbox_messages (channel, next_attempt_at) where settled_at is null;
