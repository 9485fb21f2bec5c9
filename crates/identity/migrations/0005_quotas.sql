-- How much organizations keep.

-- Bytes of the free document beside, as the quota on all of an organization's documents counts them.
alter table accounts add column metadata_bytes bigint not null default 2;
alter table service_keys add column metadata_bytes bigint not null default 2;
alter table databases add column metadata_bytes bigint not null default 2;
alter table organizations add column metadata_bytes bigint not null default 2;
update accounts set metadata_bytes = length(cast(user_metadata as text));
update service_keys set metadata_bytes = length(cast(metadata as text));
update databases set metadata_bytes = length(cast(metadata as text));
update organizations set metadata_bytes = length(cast(metadata as text));

create index databases_of_organization on databases (organization_id) where deleted_at is null;

-- One row for each organization. Its lock lets those who add to one organization follow one another, so that a quota holds
-- however many add at once. It is the last lock a unit of work takes: whoever holds it waits for nobody.
create table organization_usage (
    organization_id {uuid} not null primary key references organizations (id),
    -- Counted as they come and go, because there may be too many to count anew at each sign-in.
    resolved_sessions bigint not null
);
insert into organization_usage (organization_id, resolved_sessions)
    select d.organization_id, count(*) from resolved_sessions r join databases d on d.id = r.database_id
    group by d.organization_id;
