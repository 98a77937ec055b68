-- From this secret the passwords of a database's logins follow, so that whoever holds the owner's URL finds them without
-- a file. Owned by rowhouse_owner, granted to nobody.

set local role rowhouse_owner;

create table rowhouse_private.login_secret (
  single boolean not null default true constraint login_secret_pkey primary key constraint login_secret_one_row check (single),
  secret bytea not null constraint login_secret_64_bytes check (octet_length(secret) = 64),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

reset role;

insert into rowhouse_private.login_secret (secret) values (rowhouse_private.new_key());
