-- What an account's owner agreed to, and the domains whose accounts an operator lets an organization manage.

-- Since when the account's owner agrees that the organization's managers look after the account. Null for an invitation that is
-- not accepted. Before this version, whoever proved the mailbox counted as having agreed.
alter table memberships add column accepted_at bigint;
update memberships set accepted_at = joined_at
    where source <> 'managed' or not exists
        (select 1 from identifiers i
         where i.account_id = memberships.account_id and i.kind = 'email' and i.verified_at is null);

-- Accounts with an address of such a domain are managed without being asked: the operator says that the organization has it.
create table managed_domains (
    domain text not null primary key,
    organization_id {uuid} not null references organizations (id),
    created_at bigint not null
);
create index managed_domains_of_organization on managed_domains (organization_id);
