-- How passwords are hashed, so that it can be counted without reading them.

-- The kind of the account, and its hash without salt and output: up to the last `$`, then the length of the output.
alter table passwords add column account_kind text;
alter table passwords add column scheme text;
create index passwords_by_scheme on passwords (account_kind, scheme);

update passwords set
    account_kind = (select kind from accounts where accounts.id = passwords.account_id),
    -- bcrypt's salt and output are one text of 53 characters; elsewhere the salt is a field of its own.
    scheme = case
        when hash like '%$2_$__$_____________________________________________________'
            then rtrim(hash, './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789') || '53'
        else rtrim(rtrim(rtrim(hash,
                '=+./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'), '$'),
                '=+./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789')
            || cast(length(hash) - length(rtrim(hash,
                '=+./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789')) as text)
    end;
