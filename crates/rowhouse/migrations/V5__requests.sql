-- What an API needs to keep of its requests: how one with an Idempotency-Key was answered, and when a key was last used.

grant create on schema rowhouse, rowhouse_private to rowhouse_definer;
set local role rowhouse_owner;

-- A request that is sent again is answered again, and not done again. The row is written in the transaction of the change,
-- so that a request that failed leaves nothing; the second of two at once waits for the first at the primary key.
create table rowhouse.idempotency_keys (
  tenant_id uuid not null default rowhouse.default_tenant()
    constraint idempotency_keys_tenant references rowhouse.tenants (id),
  principal_id uuid not null default rowhouse.current_principal(),
  key text not null constraint idempotency_keys_length check (octet_length(key) between 1 and 255),
  request bytea not null constraint idempotency_keys_sha256 check (octet_length(request) = 32), -- of method, path and body
  status smallint,
  answer jsonb,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint idempotency_keys_pkey primary key (tenant_id, principal_id, key),
  constraint idempotency_keys_principal foreign key (tenant_id, principal_id) references rowhouse.principals (tenant_id, id)
);
create index idempotency_keys_by_age on rowhouse.idempotency_keys (tenant_id, principal_id, created_at);
select rowhouse.raise_wall('rowhouse.idempotency_keys', 'content', 'enforce');
-- An answer is for whoever asked.
create policy own_floor on rowhouse.idempotency_keys as restrictive for all to public
using ((tenant_id, principal_id) = (select rowhouse.bound_tenant(), rowhouse.current_principal()))
with check ((tenant_id, principal_id) = (select rowhouse.bound_tenant(), rowhouse.current_principal()));
select rowhouse.set_mode('rowhouse.idempotency_keys', 'enforce'); -- which notes that there is one more
grant select, insert (tenant_id, key, request), update (status, answer), delete on rowhouse.idempotency_keys to rowhouse_app;

-- The same for operators. They have no right to the content of tenants, and no principal in it.
create table rowhouse.operator_requests (
  operator_id uuid not null constraint operator_requests_operator references rowhouse.operator_tokens (id),
  key text not null constraint operator_requests_length check (octet_length(key) between 1 and 255),
  request bytea not null constraint operator_requests_sha256 check (octet_length(request) = 32),
  status smallint,
  answer jsonb,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint operator_requests_pkey primary key (operator_id, key)
);
create index operator_requests_by_age on rowhouse.operator_requests (operator_id, created_at);
alter table rowhouse.operator_requests enable row level security, force row level security;
create policy platform on rowhouse.operator_requests for all to rowhouse_platform, rowhouse_definer, rowhouse_migrator
using (true) with check (true);
grant select, insert (operator_id, key, request), update (status, answer), delete on rowhouse.operator_requests
to rowhouse_platform;

create trigger touch before update on rowhouse.idempotency_keys for each row execute function rowhouse_private.touch();
create trigger touch before update on rowhouse.operator_requests for each row execute function rowhouse_private.touch();

-- Beside api_keys, so that a key may note its use without a right to write its row.
create table rowhouse_private.key_uses (
  tenant_id uuid not null,
  key_id uuid not null,
  last_used_at timestamptz not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint key_uses_pkey primary key (tenant_id, key_id)
) with (fillfactor = 50);
grant select, insert, update on rowhouse_private.key_uses to rowhouse_definer;

set local role rowhouse_definer;

-- Notes that the key that entered is in use, at most once a minute; nothing for every other caller.
create function rowhouse.key_used() returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if rowhouse.caller_role() = 'key' then
    insert into rowhouse_private.key_uses as u (tenant_id, key_id, last_used_at)
    values (rowhouse.bound_tenant(), rowhouse.current_principal(), clock_timestamp())
    on conflict on constraint key_uses_pkey do update
    set last_used_at = excluded.last_used_at, updated_at = excluded.last_used_at
    where u.last_used_at < excluded.last_used_at - interval '1 minute';
  end if;
end
$$;

-- When the keys of the bound tenant were last used.
create function rowhouse.key_uses() returns table (key_id uuid, last_used_at timestamptz)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return query
  select u.key_id, u.last_used_at
  from rowhouse_private.key_uses u
  where u.tenant_id = rowhouse.bound_tenant();
end
$$;
grant execute on function rowhouse.key_used to rowhouse_app;
grant execute on function rowhouse.key_uses to rowhouse_app, rowhouse_platform;

reset role;
revoke create on schema rowhouse, rowhouse_private from rowhouse_definer;
