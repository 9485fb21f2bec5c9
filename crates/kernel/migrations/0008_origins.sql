-- Where calls come from, and when owners proved who they are.

-- What caused an event: contract (its name is in dialect), oauth, console, page, cli or worker. Older events have none.
alter table audit_events add column origin text;

-- When the owner last proved who they are in this session. Older sessions have none: when they were opened.
alter table sessions add column auth_time bigint;
