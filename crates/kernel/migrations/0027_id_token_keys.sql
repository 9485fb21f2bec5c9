-- Keys that sign ID tokens alone, and what is signed as they are: for applications that want another algorithm than that of access tokens. Keys for
-- RS256 are among them whatever stands here: earlier versions made them so.
alter table signing_keys add column id_tokens_only boolean not null default false;
