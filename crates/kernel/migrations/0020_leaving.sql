-- How people leave: where an application has them sent after they signed out, and where it is told that a session has ended.

-- Exact addresses, separated by spaces (OpenID Connect RP-Initiated Logout 1.0, section 3.1).
alter table oauth_applications add column post_logout_redirect_uris text not null default '';
-- OpenID Connect Back-Channel Logout 1.0, section 2.2. Null: the application is not told.
alter table oauth_applications add column backchannel_logout_uri text;
alter table oauth_applications add column backchannel_logout_session_required boolean not null default false;

-- How they come back: what a sign-in by a provider leads to, as the page that began it has it, sealed. Null: it was begun by no page.
alter table social_requests add column carried text;
