-- Where an application came from that a stranger registered: a keyed hash of the client's network, or the site of its document. Null: it was
-- registered by others, or with an initial access token.
alter table oauth_applications add column registered_from text;
create index oauth_applications_by_origin on oauth_applications (registered_from) where registered_from is not null;

-- Claims of the person that the userinfo endpoint is asked to tell besides those of the scopes, separated by spaces. Null: none.
alter table oauth_codes add column userinfo_claims text;

-- The same of the session that was opened.
alter table sessions add column told_claims text;
