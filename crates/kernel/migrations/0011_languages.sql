-- The languages people are written to in.

-- The language the owner's browser or app asked for when the account was made (RFC 5646, lower case). None where nothing
-- was asked for, and of accounts that others made: mails are then in the language of the request that causes them.
alter table accounts add column language text;
