-- An application's live sessions of one account are counted for each code that is exchanged: by the index alone, past those that ended
-- and those of other accounts.
drop index sessions_of_application;
create index sessions_of_application on sessions (application_id, account_id, revoked_at, number) where application_id is not null;
