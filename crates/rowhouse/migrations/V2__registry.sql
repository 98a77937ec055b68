-- The registry: the tenants and users of the whole platform, as operators see them. No floor: these rows are not inside
-- a tenant. The platform's login may do everything here but delete; the app's login sees the one tenant it is bound to,
-- and may ask `locate` which tenant a slug or key leads to.

grant create on schema rowhouse, rowhouse_private to rowhouse_definer;
set local role rowhouse_owner;

create table rowhouse.tenants (
  id uuid not null constraint tenants_pkey primary key,
  slug text not null,
  name text not null,
  kind text not null constraint tenants_kind check (kind in ('personal', 'organization')),
  plan text not null default 'free' constraint tenants_plan check (plan in ('free', 'team', 'business', 'enterprise')),
  status text not null default 'active'
    constraint tenants_status check (status in ('provisioning', 'active', 'suspended', 'deleting', 'deleted')),
  data_region text,
  placement text not null default 'here', -- any other value: this tenant lives on another server
  branding jsonb not null default '{}',
  flags jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz
);
create index tenants_by_age on rowhouse.tenants (created_at desc, id desc);

create table rowhouse.users (
  id uuid not null constraint users_pkey primary key,
  -- One address has one form: what is another in lower case or by Unicode (a Kelvin sign, a Turkish I) would get its mail
  -- elsewhere.
  email text not null constraint users_email_in_one_form check (email is nfkc normalized and strpos(email, chr(304)) = 0),
  name text not null,
  home_tenant_id uuid constraint users_home_tenant references rowhouse.tenants (id), -- the Personal Org
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz
);

-- The only way from something that a stranger presents to a tenant, and the only global uniqueness: a slug, e-mail or
-- key is unique because its digest is unique here. Rows stay when a slug changes or a tenant goes: a name that once
-- led to a tenant never leads to another one.
create table rowhouse.locator (
  kind text not null
    constraint locator_kind check (kind in ('slug', 'email', 'key', 'session', 'invitation', 'link')),
  digest bytea not null constraint locator_digest_sha256 check (octet_length(digest) = 32),
  tenant_id uuid, -- null for an e-mail: users belong to the platform
  id uuid not null,
  principal_id uuid, -- of a session: whose it is
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint locator_pkey primary key (kind, digest)
);

create table rowhouse.operator_tokens (
  id uuid not null constraint operator_tokens_pkey primary key,
  name text not null,
  digest bytea not null constraint operator_tokens_digest unique,
  expires_at timestamptz,
  last_used_at timestamptz,
  revoked_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

-- Append-only, by rights: what operators did.
create table rowhouse.platform_audit (
  id uuid not null constraint platform_audit_pkey primary key,
  operator_id uuid, -- the token; null for who works on the server itself
  operator text not null,
  action text not null,
  tenant_id uuid,
  request_id text,
  detail jsonb not null default '{}',
  created_at timestamptz not null default now()
);
create index platform_audit_by_tenant on rowhouse.platform_audit (tenant_id, created_at desc);

-- Every table that stands behind the wall, ours and adopted ones: what raise_wall() and set_mode() last made of it.
create table rowhouse.managed_tables (
  schema_name text not null,
  table_name text not null,
  class text not null constraint managed_tables_class check (class in ('admin', 'content', 'shared')),
  mode text not null constraint managed_tables_mode check (mode in ('off', 'shadow', 'enforce')),
  project_column text,
  floors name[] not null default '{}', -- names of the restrictive policies that set_mode() last saw, and has to see again
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint managed_tables_pkey primary key (schema_name, table_name)
);

do $$
declare
  registry text;
begin
  foreach registry in array '{tenants,users,locator,operator_tokens,platform_audit,managed_tables}'::text[] loop
    execute format('alter table rowhouse.%I enable row level security, force row level security', registry);
    execute format('create policy platform on rowhouse.%I for all to rowhouse_platform, rowhouse_definer, rowhouse_migrator '
      'using (true) with check (true)', registry);
  end loop;
end
$$;
create policy bound_one on rowhouse.tenants for select to rowhouse_app
using (rowhouse.floor_first() and (id, true) = (select rowhouse.bound_tenant(), true)); -- why so: raise_wall()
-- raise_wall() and set_mode() write it while a migration works as the owner.
create policy owner on rowhouse.managed_tables for all to rowhouse_owner using (true) with check (true);

grant select on rowhouse.tenants, rowhouse.managed_tables to rowhouse_app;
create policy anyone on rowhouse.managed_tables for select to rowhouse_app using (true);
-- UPDATE by column: an id never changes.
grant select, insert, update (slug, name, kind, plan, status, data_region, placement, branding, flags, updated_at, deleted_at)
on rowhouse.tenants to rowhouse_platform;
grant select, insert, update (email, name, home_tenant_id, updated_at, deleted_at) on rowhouse.users to rowhouse_platform;
grant select, insert, update (name, expires_at, last_used_at, revoked_at, updated_at) on rowhouse.operator_tokens
to rowhouse_platform;
grant select, insert on rowhouse.platform_audit to rowhouse_platform;
grant select on rowhouse.locator, rowhouse.managed_tables to rowhouse_platform;
grant select, insert on rowhouse.tenants to rowhouse_definer;
grant select, update (updated_at) on rowhouse.users to rowhouse_definer; -- UPDATE, so that it may lock a row
grant select, insert, update (updated_at) on rowhouse.locator to rowhouse_definer;

set local role rowhouse_definer;

-- Which tenant something leads to, by its SHA-256. A stranger who holds a slug learns that it exists, no more. Whose an
-- e-mail address is, only the platform may ask: addresses can be guessed.
create function rowhouse.locate(kind text, digest bytea) returns table (tenant_id uuid, id uuid, principal_id uuid)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return query
  select l.tenant_id, l.id, l.principal_id
  from rowhouse.locator l
  where l.kind = locate.kind and l.digest = locate.digest
    and (l.kind <> 'email' or pg_has_role(session_user, 'rowhouse_platform', 'member'));
end
$$;

-- Takes a name for good. Who had it before may have it again; for everybody else it is taken.
create function rowhouse_private.take_name(kind text, name text, tenant uuid, id uuid) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into rowhouse.locator as l (kind, digest, tenant_id, id)
  values (take_name.kind, sha256(convert_to(take_name.name, 'UTF8')), tenant, take_name.id)
  on conflict on constraint locator_pkey do update set updated_at = clock_timestamp() where l.id = excluded.id;
  if not found then
    raise exception 'this % is taken', kind using errcode = '23505', schema = 'rowhouse', table = 'locator',
      constraint = 'locator_pkey';
  end if;
end
$$;

create function rowhouse_private.tenant_changed() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_op = 'INSERT' or new.slug <> old.slug then
    perform rowhouse_private.take_name('slug', new.slug, new.id, new.id);
  end if;
  insert into rowhouse_private.tenant_states as s (tenant_id, state)
  values (new.id, rowhouse_private.tenant_state(new.status, new.placement, new.deleted_at))
  on conflict on constraint tenant_states_pkey do update set state = excluded.state, updated_at = clock_timestamp()
  where s.state <> excluded.state;
  return null;
end
$$;

create function rowhouse_private.tenant_state(status text, placement text, deleted_at timestamptz) returns text
language sql immutable parallel safe
return case
  when placement <> 'here' then 'RH008'
  when status = 'active' and deleted_at is null then 'active'
  else 'RH004'
end;

create function rowhouse_private.user_changed() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_op = 'INSERT' or new.email <> old.email then
    perform rowhouse_private.take_name('email', lower(new.email), null, new.id);
  end if;
  if tg_op = 'UPDATE' and new.deleted_at is distinct from old.deleted_at then
    update rowhouse_private.liveness
    set user_gone = new.deleted_at is not null, updated_at = clock_timestamp()
    where user_id = new.id;
    -- Should he come back, he signs in anew.
    delete from rowhouse_private.liveness
    where user_id = new.id and credential_id <> '00000000-0000-0000-0000-000000000000';
  end if;
  return null;
end
$$;

-- Refuses DDL of the wall while a tenant is bound: a foreign key would be validated over that tenant's rows only, and a
-- default stamped with that tenant on the rows of all.
create function rowhouse_private.refuse_while_bound() returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if coalesce(current_setting('app.tenant_id', true), '') <> '' then
    raise exception 'a tenant is bound: the wall is only changed from outside of every tenant'
      using errcode = '55000', hint = 'Run this in a transaction that did not call rowhouse.enter().';
  end if;
end
$$;

-- Puts the floor under a table: the one place where the text of the policies is written. The table has a column
-- `tenant_id uuid not null`. Class `admin` is readable to whoever is inside the tenant and writable to its owners and
-- admins; `content` belongs to whoever is inside. What a role may do at all is a matter of grants, made beside it.
create function rowhouse.raise_wall(relation regclass, class text, mode text, project_column text default null) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  managers constant text := 
    '(tenant_id, true) = (select rowhouse.bound_tenant(), rowhouse.caller_role() = any (''{owner,admin}''::text[]))';
  -- floor_first() has every floor asked before any condition of the caller's is tried on a row. The second column makes
  -- the question one that needs no row: it is asked, and raises without a context, also where no row is found.
  reads constant text := '(tenant_id, true) = (select rowhouse.bound_tenant(), true)';
  writes constant text := '(tenant_id, true) = (select rowhouse.writable_tenant(), true)';
  -- Trails are written under read access too.
  append_only constant boolean := relation = coalesce(to_regclass('rowhouse.audit_log'), 0);
  in_projects text;
begin
  perform rowhouse_private.refuse_while_bound();
  if class <> all ('{admin,content}') then
    raise exception 'class %: a table behind the wall is either admin or content', class using errcode = '22023';
  end if;
  perform from pg_attribute
  where attrelid = relation and attname = 'tenant_id' and atttypid = 'uuid'::regtype and attnotnull;
  if not found then
    raise exception '% has no column "tenant_id uuid not null"', relation using errcode = '42703';
  end if;

  execute format(
    'create policy tenant_floor on %s as restrictive for all to public using (rowhouse.floor_first() and %s) with check (%s)',
    relation, reads, case when append_only then reads else writes end);
  if not append_only then
    -- USING of the floor above lets a reader's UPDATE and DELETE find rows; these do not.
    execute format('create policy tenant_floor_update on %s as restrictive for update to public using (%s)', relation, writes);
    execute format('create policy tenant_floor_delete on %s as restrictive for delete to public using (%s)', relation, writes);
  end if;
  if project_column is not null then
    -- Twice: the first is an index condition.
    in_projects := format('%1$I = any ((select rowhouse.current_projects())::uuid[])
      and rowhouse.pair(tenant_id, %1$I) = any ((select rowhouse.projects_inside())::text[])', project_column);
    execute format('create policy project_floor on %s as restrictive for all to public using (%s) with check (%2$s)',
      relation, in_projects);
  end if;

  if class = 'content' or append_only then
    execute format('create policy inside on %s for all to rowhouse_app using (true) with check (true)', relation);
  else
    execute format('create policy inside on %s for select to rowhouse_app using (true)', relation);
    execute format('create policy managers on %s for all to rowhouse_app using (%s) with check (%2$s)', relation, managers);
  end if;
  if class = 'admin' then
    execute format('create policy system on %s for all to rowhouse_platform, rowhouse_definer using (true) with check (true)',
      relation);
  end if;

  insert into rowhouse.managed_tables as m (schema_name, table_name, class, mode, project_column)
  select n.nspname, c.relname, raise_wall.class, 'enforce', raise_wall.project_column
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.oid = relation;
  perform rowhouse.set_mode(relation, mode);
end
$$;

-- off: row-level security is disabled. shadow: it is on, but the floor binds only what runs as rowhouse_enforced, and
-- an open policy lets everything else through. enforce: the floor binds everybody, the table's owner too.
create function rowhouse.set_mode(relation regclass, mode text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  floor name;
  found_floors constant name[] := array(
    select p.polname from pg_policy p
    where p.polrelid = relation and not p.polpermissive
      and p.polname like any ('{tenant\_floor%,project\_floor,own\_floor}')
    order by p.polname);
  known_floors name[];
begin
  perform rowhouse_private.refuse_while_bound();
  if mode <> all ('{off,shadow,enforce}') then
    raise exception 'mode %: a table is off, shadow or enforce', mode using errcode = '22023';
  end if;
  select t.floors into known_floors
  from rowhouse.managed_tables t
  join pg_namespace n on n.nspname = t.schema_name
  join pg_class c on c.relnamespace = n.oid and c.relname = t.table_name
  where c.oid = relation and t.class <> 'shared';
  if not found then
    raise exception '% is not behind the wall', relation
      using errcode = '55000', hint = 'Put it there with: rowhouse tables protect TABLE';
  end if;
  -- What lets the caller in is worth nothing without the floor beneath it.
  if not found_floors @> known_floors or not 'tenant_floor' = any (found_floors) then
    raise exception 'policies of % are gone: %', relation, array(
        select unnest(known_floors || '{tenant_floor}'::name[]) except select unnest(found_floors))
      using errcode = '55000', hint = 'Find out who dropped them; rowhouse doctor says what else is not as it was made.';
  end if;
  update rowhouse.managed_tables t
  set mode = set_mode.mode, floors = found_floors, updated_at = clock_timestamp()
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.oid = relation and t.schema_name = n.nspname and t.table_name = c.relname;

  execute format('alter table %s %s row level security, force row level security',
    relation, case mode when 'off' then 'disable' else 'enable' end);
  foreach floor in array found_floors loop
    execute format('alter policy %I on %s to %s', floor, relation,
      case mode when 'enforce' then 'public' else 'rowhouse_enforced' end);
  end loop;
  if exists (select from pg_policy where polrelid = relation and polname = 'shadow_open') then
    execute format('drop policy shadow_open on %s', relation);
  end if;
  if mode <> 'enforce' then
    execute format('create policy shadow_open on %s for all to public using (true) with check (true)', relation);
  end if;
end
$$;

grant execute on function rowhouse.locate to rowhouse_app, rowhouse_platform;
grant execute on function rowhouse.raise_wall, rowhouse.set_mode, rowhouse_private.refuse_while_bound
to rowhouse_migrator, rowhouse_owner;
grant execute on function rowhouse_private.tenant_changed, rowhouse_private.user_changed, rowhouse_private.touch to rowhouse_owner;

set local role rowhouse_owner;
grant usage on schema rowhouse_private to rowhouse_migrator;

-- Whoever is a role may DROP OWNED BY it: that drops each policy which names no other role, and all that the role was granted,
-- whosever the table is. So the app's login could take away the floor of each table in shadow, and what lets its tenants in
-- everywhere. But the whole statement fails where the role was granted something on a table of which it has no right as a
-- whole, only to a column. This is that table.
create table rowhouse_private.drop_owned_fails_here (
  nothing text not null constraint drop_owned_fails_here_pkey primary key,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
grant select (nothing) on rowhouse_private.drop_owned_fails_here
to rowhouse_app, rowhouse_platform, rowhouse_sealer, rowhouse_mailer, rowhouse_shadow, rowhouse_enforced;

create trigger tenant_changed after insert or update on rowhouse.tenants
for each row execute function rowhouse_private.tenant_changed();
create trigger user_changed after insert or update on rowhouse.users
for each row execute function rowhouse_private.user_changed();
do $$
declare
  registry text;
begin
  foreach registry in array '{tenants,users,operator_tokens}'::text[] loop
    execute format('create trigger touch before update on rowhouse.%I for each row execute function rowhouse_private.touch()',
      registry);
  end loop;
end
$$;

create view rowhouse.organizations with (security_invoker = true) as
select id, slug, name, plan, status, created_at, updated_at
from rowhouse.tenants
where kind = 'organization' and deleted_at is null;
grant select on rowhouse.organizations to rowhouse_app, rowhouse_platform;

reset role;
revoke create on schema rowhouse, rowhouse_private from rowhouse_definer;
