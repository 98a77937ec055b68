-- Inside a tenant, its administration: who belongs to it, in which role, and what they work in. Class `admin`: behind
-- the floor, readable to whoever is inside, written by owners and admins, and by the platform as principal `system`.
--
-- A principal's id is the id of what it stands for: a user's principal is the user's id, a team's the team's, that of
-- all members the tenant's own. So an ACL entry, an actor and a ticket name one UUID, and nothing is looked up.
--
-- Triggers keep two things in the transaction of the change: `principals`, and the liveness row that `enter` reads.

grant create on schema rowhouse, rowhouse_private to rowhouse_definer;
set local role rowhouse_owner;

create table rowhouse.principals (
  tenant_id uuid not null default rowhouse.default_tenant() constraint principals_tenant references rowhouse.tenants (id),
  id uuid not null,
  kind text not null
    constraint principals_kind check (kind in ('user', 'team', 'tenant', 'key', 'share', 'link', 'system', 'job')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz,
  constraint principals_pkey primary key (tenant_id, id)
);

create table rowhouse.tenant_members (
  tenant_id uuid not null default rowhouse.default_tenant() constraint tenant_members_tenant references rowhouse.tenants (id),
  user_id uuid not null constraint tenant_members_user references rowhouse.users (id),
  role text not null constraint tenant_members_role check (role in ('owner', 'admin', 'member', 'viewer')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint tenant_members_pkey primary key (tenant_id, user_id)
);

create table rowhouse.teams (
  tenant_id uuid not null default rowhouse.default_tenant() constraint teams_tenant references rowhouse.tenants (id),
  id uuid not null,
  name text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz,
  constraint teams_pkey primary key (tenant_id, id)
);
create unique index teams_name on rowhouse.teams (tenant_id, name) where deleted_at is null;

create table rowhouse.team_members (
  tenant_id uuid not null default rowhouse.default_tenant() constraint team_members_tenant references rowhouse.tenants (id),
  team_id uuid not null,
  user_id uuid not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint team_members_pkey primary key (tenant_id, team_id, user_id),
  constraint team_members_team foreign key (tenant_id, team_id) references rowhouse.teams (tenant_id, id),
  constraint team_members_member foreign key (tenant_id, user_id) references rowhouse.tenant_members (tenant_id, user_id)
);
create index team_members_by_user on rowhouse.team_members (tenant_id, user_id);

create table rowhouse.workspaces (
  tenant_id uuid not null default rowhouse.default_tenant() constraint workspaces_tenant references rowhouse.tenants (id),
  id uuid not null,
  kind text not null constraint workspaces_kind check (kind in ('personal', 'team', 'tenant')),
  name text not null,
  owner_id uuid, -- of a personal workspace
  team_id uuid,  -- of a team's
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz,
  constraint workspaces_pkey primary key (tenant_id, id),
  constraint workspaces_owner foreign key (tenant_id, owner_id) references rowhouse.principals (tenant_id, id),
  constraint workspaces_team foreign key (tenant_id, team_id) references rowhouse.teams (tenant_id, id),
  constraint workspaces_of_whom check ((kind = 'personal') = (owner_id is not null) and (kind = 'team') = (team_id is not null))
);

create table rowhouse.projects (
  tenant_id uuid not null default rowhouse.default_tenant() constraint projects_tenant references rowhouse.tenants (id),
  id uuid not null,
  name text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz,
  constraint projects_pkey primary key (tenant_id, id)
);
create unique index projects_name on rowhouse.projects (tenant_id, name) where deleted_at is null;

create table rowhouse.user_project_roles (
  tenant_id uuid not null default rowhouse.default_tenant()
    constraint user_project_roles_tenant references rowhouse.tenants (id),
  project_id uuid not null,
  user_id uuid not null,
  role text not null constraint user_project_roles_role check (role in ('admin', 'editor', 'viewer')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint user_project_roles_pkey primary key (tenant_id, project_id, user_id),
  constraint user_project_roles_project foreign key (tenant_id, project_id) references rowhouse.projects (tenant_id, id),
  constraint user_project_roles_member foreign key (tenant_id, user_id)
    references rowhouse.tenant_members (tenant_id, user_id)
);
create index user_project_roles_by_user on rowhouse.user_project_roles (tenant_id, user_id);

create table rowhouse.api_keys (
  tenant_id uuid not null default rowhouse.default_tenant() constraint api_keys_tenant references rowhouse.tenants (id),
  id uuid not null,
  name text not null,
  prefix text not null,       -- the first characters of the key, to recognise it by
  digest bytea not null,      -- SHA-256, by which `locate` finds it
  secret_hash text not null,  -- bcrypt
  permissions jsonb not null default '["read"]',
  scopes jsonb not null default '{}', -- {"projects": [..]}: only these; without it, all
  environment text not null default 'PRODUCTION' constraint api_keys_environment check (environment in ('SANDBOX', 'PRODUCTION')),
  expires_at timestamptz,
  revoked_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint api_keys_pkey primary key (tenant_id, id)
);

-- Append-only, by rights: who did what inside this tenant. The actor is not a column that the caller may write. No row is so
-- long that its seal (V10) could not be made.
create table rowhouse.audit_log (
  tenant_id uuid not null default rowhouse.default_tenant() constraint audit_log_tenant references rowhouse.tenants (id),
  id uuid not null,
  actor_id uuid not null default rowhouse.current_principal(),
  on_behalf_of uuid, -- the operator's token, where the platform acts for one
  action text not null constraint audit_log_action_is_short check (octet_length(action) <= 100),
  object_id uuid,
  workspace_id uuid,
  project_id uuid,
  resource_id uuid,
  request_id text constraint audit_log_request_id_is_short check (octet_length(request_id) <= 500),
  -- Of the text: pg_column_size() would be that of the compressed value.
  detail jsonb not null default '{}' constraint audit_log_detail_is_short check (octet_length(detail::text) <= 65536),
  created_at timestamptz not null default clock_timestamp(),
  constraint audit_log_pkey primary key (tenant_id, id)
);
create index audit_log_by_time on rowhouse.audit_log (tenant_id, created_at desc, id desc);

do $$
declare
  admin text;
begin
  foreach admin in array
    '{principals,tenant_members,teams,team_members,workspaces,projects,user_project_roles,api_keys,audit_log}'::text[]
  loop
    perform rowhouse.raise_wall(format('rowhouse.%I', admin)::regclass, 'admin', 'enforce');
    if admin <> 'audit_log' then
      execute format('create trigger touch before update on rowhouse.%I for each row execute function rowhouse_private.touch()',
        admin);
    end if;
  end loop;
end
$$;

-- Who is in a project is also for those to say who administer it.
create policy project_admins on rowhouse.user_project_roles for all to rowhouse_app
using (rowhouse.pair(tenant_id, project_id) = any ((select rowhouse.administers_inside())::text[]))
with check (rowhouse.pair(tenant_id, project_id) = any ((select rowhouse.administers_inside())::text[]));

-- People see which projects there are, and who is in them. A key sees those that it was made for.
alter policy inside on rowhouse.projects
using (
  (tenant_id, true) = (select rowhouse.bound_tenant(), rowhouse.caller_role() <> 'key')
  or rowhouse.pair(tenant_id, id) = any ((select rowhouse.projects_inside())::text[]));
alter policy inside on rowhouse.user_project_roles
using (
  (tenant_id, true) = (select rowhouse.bound_tenant(), rowhouse.caller_role() <> 'key')
  or rowhouse.pair(tenant_id, project_id) = any ((select rowhouse.projects_inside())::text[]));

-- UPDATE is granted by column: tenant_id and the other keys of a row never change.
grant select on rowhouse.principals, rowhouse.tenant_members, rowhouse.teams, rowhouse.team_members, rowhouse.workspaces,
  rowhouse.projects, rowhouse.user_project_roles, rowhouse.audit_log to rowhouse_app, rowhouse_platform, rowhouse_definer;
grant select (tenant_id, id, name, prefix, permissions, scopes, environment, expires_at, revoked_at, created_at,
  updated_at) on rowhouse.api_keys to rowhouse_app, rowhouse_platform;
grant select on rowhouse.api_keys to rowhouse_definer;
grant update (role), delete on rowhouse.tenant_members to rowhouse_app, rowhouse_platform; -- added by functions only: V7
grant insert, update (name, deleted_at) on rowhouse.teams, rowhouse.projects to rowhouse_app, rowhouse_platform;
grant insert, delete on rowhouse.team_members to rowhouse_app, rowhouse_platform;
grant insert, update (name, deleted_at) on rowhouse.workspaces to rowhouse_app, rowhouse_platform;
grant insert, update (role), delete on rowhouse.user_project_roles to rowhouse_app, rowhouse_platform;
grant insert, update (name, permissions, scopes, expires_at, revoked_at) on rowhouse.api_keys
to rowhouse_app, rowhouse_platform;
grant insert (tenant_id, id, action, object_id, workspace_id, project_id, resource_id, request_id, detail)
on rowhouse.audit_log to rowhouse_app, rowhouse_platform, rowhouse_definer;
grant insert (on_behalf_of) on rowhouse.audit_log to rowhouse_platform;
grant insert, update on rowhouse.principals to rowhouse_definer;
grant insert on rowhouse.workspaces to rowhouse_definer;
grant insert, delete on rowhouse.tenant_members to rowhouse_definer;
grant delete on rowhouse.team_members, rowhouse.user_project_roles to rowhouse_definer;

create view rowhouse.org_members with (security_invoker = true) as
select tenant_id as org_id, user_id, role, created_at, updated_at
from rowhouse.tenant_members;
grant select on rowhouse.org_members to rowhouse_app, rowhouse_platform;

set local role rowhouse_definer;

-- A trigger works under the context that its statement leaves behind. Under that of another tenant, it would find nobody here.
create function rowhouse_private.still_in(tenant uuid) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if tenant is distinct from rowhouse.current_tenant() then
    raise exception 'the context was changed before the statement had ended' using errcode = 'RH002';
  end if;
end
$$;

-- Who may do what goes by what is there now. Under a snapshot, what was taken away since looks as if it were there.
create function rowhouse_private.refuse_snapshot() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if current_setting('transaction_isolation') = any ('{repeatable read,serializable}'::text[]) then
    raise exception 'who sees a resource, and where it runs, is changed under READ COMMITTED' using errcode = '25001';
  end if;
end
$$;

-- One change of administration at a time in each tenant. What is computed after it, in statements of their own, sees what
-- the transaction before has committed: of two that change the same person's teams, the second sees the first's. Under
-- REPEATABLE READ it fails instead, since the row has changed after its snapshot. The row is the liveness row of the
-- principal `tenant`: foreign keys and the platform's suspension do not wait for it.
create function rowhouse_private.one_at_a_time(in_tenant uuid) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if rowhouse.current_tenant() is not null then -- whoever mends the database by hand has none
    perform rowhouse_private.still_in(in_tenant);
  end if;
  update rowhouse_private.liveness l
  set updated_at = clock_timestamp()
  where l.tenant_id = in_tenant and l.principal_id = in_tenant
    and l.xmin <> pg_current_xact_id()::xid; -- once a transaction
end
$$;

-- The same, for a change that a caller makes. His context says what he was when he entered; who was removed or demoted
-- since must not leave a key or a friend behind from a transaction that he kept open. What is done to a project, its own
-- admins may do too. Answers what he is now.
create function rowhouse_private.managed_by_caller(in_tenant uuid, in_project uuid default null) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  caller text;
begin
  perform rowhouse_private.one_at_a_time(in_tenant);
  select l.role into caller from rowhouse_private.liveness l
  where l.tenant_id = in_tenant and l.principal_id = rowhouse.current_principal()
    -- by the session or key that he came with: one that was ended since leaves nothing behind either
    and l.credential_id = coalesce(rowhouse_private.current_credential(), l.credential_id)
    and l.state = any ('{active,system}') and l.expires_at > clock_timestamp()
    and (l.role = any ('{owner,admin,system}') or l.access = 'w' and in_project = any (l.administers))
  for share;
  if not found then
    raise exception 'the caller does not, or no longer, manage the tenant' using errcode = 'RH005';
  end if;
  -- Not locked: a suspension waits for nobody. One that comes later finds what was made before it.
  if caller <> 'system' and not exists (
    select from rowhouse_private.tenant_states s where s.tenant_id = in_tenant and s.state = 'active')
  then
    raise exception 'the tenant is not active' using errcode = 'RH004';
  end if;
  return caller;
end
$$;

-- Works out anew what `enter` is told of a principal.
create function rowhouse_private.refresh(in_tenant uuid, principal uuid) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  live rowhouse_private.liveness;
  verdict text := 'active';
  may text := 'w';
  member_role text;
  expiry timestamptz := 'infinity';
  in_projects uuid[] := '{}';
  edited uuid[] := '{}';
  administered uuid[] := '{}';
  only_projects jsonb; -- of a key with scopes
  stands_for uuid[];
begin
  perform rowhouse_private.one_at_a_time(in_tenant);
  select * into live from rowhouse_private.liveness l
  where l.tenant_id = in_tenant and l.principal_id = principal
  for update;
  if not found then
    return; -- a team: nobody enters as one
  end if;
  stands_for := array[principal];

  if live.kind = 'user' then
    select m.role into member_role from rowhouse.tenant_members m
    where m.tenant_id = in_tenant and m.user_id = principal;
    if not found then
      verdict := 'RH005';
    end if;
    may := case when member_role = 'viewer' then 'r' else 'w' end;
    stands_for := stands_for || in_tenant || array(
      select m.team_id from rowhouse.team_members m
      join rowhouse.teams t on t.tenant_id = m.tenant_id and t.id = m.team_id
      where m.tenant_id = in_tenant and m.user_id = principal and t.deleted_at is null
      order by m.team_id);
  else
    member_role := live.kind;
    if live.kind <> 'tenant' and live.kind <> 'system' then
      stands_for := stands_for || in_tenant;
    end if;
    if live.kind = 'key' then
      select
        coalesce(k.expires_at, 'infinity'),
        case when k.revoked_at is null then 'active' else 'RH005' end,
        case when k.permissions ? 'write' then 'w' else 'r' end,
        k.scopes -> 'projects'
      into expiry, verdict, may, only_projects
      from rowhouse.api_keys k
      where k.tenant_id = in_tenant and k.id = principal;
    end if;
  end if;

  if member_role = any ('{owner,admin,key,job,system}') then
    in_projects := array(
      select p.id from rowhouse.projects p
      where p.tenant_id = in_tenant
        and (p.deleted_at is null or member_role = 'job') -- what lies in one is copied, and erased, with the tenant
        and (only_projects is null or only_projects ? p.id::text)
      order by p.id);
  elsif live.kind = 'user' then
    select
      coalesce(array_agg(p.id order by p.id), '{}'),
      coalesce(array_agg(p.id order by p.id) filter (where r.role = any ('{editor,admin}')), '{}'),
      coalesce(array_agg(p.id order by p.id) filter (where r.role = 'admin'), '{}')
    into in_projects, edited, administered
    from rowhouse.projects p
    join rowhouse.user_project_roles r on r.tenant_id = p.tenant_id and r.project_id = p.id
    where p.tenant_id = in_tenant and r.user_id = principal and p.deleted_at is null;
  end if;
  if cardinality(stands_for) > 256 then
    verdict := 'RH007';
  end if;

  update rowhouse_private.liveness l
  set own_state = verdict,
    expires_at = case when live.kind = 'user' then l.expires_at else expiry end, -- a session's own is in its row
    access = may,
    role = coalesce(member_role, 'none'),
    projects = in_projects,
    principals = stands_for,
    edits = edited,
    administers = administered,
    packed = format('%s;%s;%s;%s;%s;%s;%s',
      may, coalesce(member_role, 'none'), in_projects, stands_for, edited, administered, l.credential_id),
    packed_read = format('r;%s;%s;%s;%s;%s;%s',
      coalesce(member_role, 'none'), in_projects, stands_for, edited, administered, l.credential_id),
    updated_at = clock_timestamp()
  where l.tenant_id = in_tenant and l.principal_id = principal;
end
$$;

create function rowhouse_private.principal_added() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if new.kind <> 'team' then
    perform rowhouse_private.one_at_a_time(new.tenant_id);
    if new.kind = 'user' then -- a caller chooses the ids of his keys: no other user is his to lock
      perform from rowhouse.users u where u.id = new.id for share; -- who is being deleted at this moment is gone below
    end if;
    insert into rowhouse_private.liveness (tenant_id, principal_id, credential_id, kind, user_id, user_gone)
    values (
      new.tenant_id,
      new.id,
      case when new.kind = 'key' then new.id else '00000000-0000-0000-0000-000000000000' end,
      new.kind,
      case when new.kind = 'user' then new.id end,
      new.kind = 'user' and exists (select from rowhouse.users u where u.id = new.id and u.deleted_at is not null));
    perform rowhouse_private.refresh(new.tenant_id, new.id);
  end if;
  return null;
end
$$;

create function rowhouse_private.member_changed() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  member rowhouse.tenant_members := case when tg_op = 'DELETE' then old else new end;
  ranks constant text[] := '{viewer,member,admin,owner}';
  caller text;
begin
  if tg_op = 'DELETE' and old.user_id = rowhouse.current_user_id() then
    perform rowhouse_private.one_at_a_time(old.tenant_id);
    caller := old.role; -- whoever leaves asks nobody
  else
    caller := rowhouse_private.managed_by_caller(member.tenant_id);
  end if;
  if caller <> 'owner' and caller <> 'system' and (old.role = 'owner' or new.role = 'owner') then
    raise exception 'who is an owner of the tenant is for its owners to say' using errcode = '42501',
      schema = 'rowhouse', table = 'tenant_members', constraint = 'tenant_members_owner';
  end if;
  -- The platform brings in the first people and shows them out; whom it lets in or raises later, the tenant did not ask for.
  if caller = 'system'
    and (old.role = 'owner'
      or (tg_op = 'INSERT' or array_position(ranks, new.role) > array_position(ranks, old.role))
        and exists (
          select from rowhouse.tenant_members m
          where m.tenant_id = member.tenant_id and m.role = 'owner' and m.user_id <> member.user_id))
  then
    raise exception 'the tenant has an owner: who belongs to it is for its own to say' using errcode = '42501',
      schema = 'rowhouse', table = 'tenant_members', constraint = 'tenant_members_added_inside';
  end if;
  -- Of two that go at once, the second sees that the first is gone. Who was deleted from the platform owns nothing any more.
  if old.role = 'owner' and new.role is distinct from 'owner' and not exists (
    select from rowhouse.tenant_members m
    join rowhouse_private.liveness l on l.tenant_id = m.tenant_id and l.principal_id = m.user_id
    where m.tenant_id = member.tenant_id and m.role = 'owner' and m.user_id <> member.user_id and not l.user_gone)
  then
    raise exception 'a tenant keeps its last owner' using errcode = '23514',
      schema = 'rowhouse', table = 'tenant_members', constraint = 'tenant_members_last_owner';
  end if;
  if tg_op = 'INSERT' then
    insert into rowhouse.principals (tenant_id, id, kind) values (member.tenant_id, member.user_id, 'user')
    on conflict on constraint principals_pkey do update set deleted_at = null where principals.kind = 'user';
    if not found then
      raise exception 'the id of this user stands for something else in the tenant' using errcode = '23505';
    end if;
  elsif tg_op = 'DELETE' then
    update rowhouse.principals p set deleted_at = clock_timestamp()
    where p.tenant_id = member.tenant_id and p.id = member.user_id;
  end if;
  perform rowhouse_private.refresh(member.tenant_id, member.user_id);
  return null;
end
$$;

create function rowhouse_private.team_changed() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform rowhouse_private.managed_by_caller(new.tenant_id);
  if tg_op = 'INSERT' then
    insert into rowhouse.principals (tenant_id, id, kind) values (new.tenant_id, new.id, 'team');
  else
    update rowhouse.principals p set deleted_at = new.deleted_at where p.tenant_id = new.tenant_id and p.id = new.id;
    if new.deleted_at is distinct from old.deleted_at then
      perform rowhouse_private.refresh(m.tenant_id, m.user_id)
      from rowhouse.team_members m
      where m.tenant_id = new.tenant_id and m.team_id = new.id
      order by m.user_id;
    end if;
  end if;
  return null;
end
$$;

-- For team_members and user_project_roles: somebody's teams or projects changed.
create function rowhouse_private.membership_changed() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  in_tenant constant uuid := case when tg_op = 'DELETE' then old.tenant_id else new.tenant_id end;
  in_project constant uuid := case when tg_op = 'DELETE' then to_jsonb(old) else to_jsonb(new) end ->> 'project_id';
begin
  if tg_op = 'DELETE' and old.user_id = rowhouse.current_user_id() then
    null; -- whoever leaves asks nobody; a policy lets him only through rowhouse.leave()
  else
    perform rowhouse_private.managed_by_caller(in_tenant, in_project);
  end if;
  perform rowhouse_private.refresh(in_tenant, case when tg_op = 'DELETE' then old.user_id else new.user_id end);
  return null;
end
$$;

-- Projects came or went: for those who have all of them, and those who have a role in one of these. Once a statement, so
-- that a thousand projects at once are as cheap as one.
create function rowhouse_private.projects_changed() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  in_tenant uuid;
  changed uuid[];
begin
  for in_tenant, changed in
    select n.tenant_id, array_agg(n.id) from new_rows n group by n.tenant_id order by n.tenant_id
  loop
    perform rowhouse_private.managed_by_caller(in_tenant);
    perform rowhouse_private.refresh(l.tenant_id, l.principal_id)
    from rowhouse_private.liveness l
    where l.tenant_id = in_tenant
      and (l.role = any ('{owner,admin,key,job,system}')
        or l.principal_id in (
          select r.user_id from rowhouse.user_project_roles r
          where r.tenant_id = in_tenant and r.project_id = any (changed)))
    order by l.principal_id;
  end loop;
  return null;
end
$$;

create function rowhouse_private.key_changed() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  caller constant text := rowhouse_private.managed_by_caller(new.tenant_id);
begin
  if tg_op = 'UPDATE' and old.revoked_at is not null and new.revoked_at is null then
    raise exception 'a revoked key stays revoked' using errcode = '42501',
      schema = 'rowhouse', table = 'api_keys', constraint = 'api_keys_revoked_for_good';
  end if;
  -- One that the platform made earlier, it knows.
  if caller = 'system'
    and (tg_op = 'INSERT'
      or not new.permissions <@ old.permissions
      or new.scopes <> old.scopes
      or coalesce(new.expires_at, 'infinity') > coalesce(old.expires_at, 'infinity'))
    and exists (select from rowhouse.tenant_members m where m.tenant_id = new.tenant_id and m.role = 'owner')
  then
    raise exception 'the tenant has an owner: it makes its keys itself' using errcode = '42501',
      schema = 'rowhouse', table = 'api_keys', constraint = 'api_keys_made_inside';
  end if;
  if tg_op = 'INSERT' then
    insert into rowhouse.principals (tenant_id, id, kind) values (new.tenant_id, new.id, 'key');
    insert into rowhouse.locator (kind, digest, tenant_id, id) values ('key', new.digest, new.tenant_id, new.id);
  else
    update rowhouse.principals p set deleted_at = new.revoked_at where p.tenant_id = new.tenant_id and p.id = new.id;
    perform rowhouse_private.refresh(new.tenant_id, new.id);
  end if;
  return null;
end
$$;

-- The bcrypt hash of the key that this transaction was entered with; nothing for every other caller.
create function rowhouse.own_key_hash() returns text
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select k.secret_hash from rowhouse.api_keys k
    where k.tenant_id = rowhouse.bound_tenant() and k.id = rowhouse.current_principal());
end
$$;

-- Founds a tenant with its baseline: the principals `tenant` (all its members), `system` and `job`, a workspace for the
-- whole tenant, and with `owner` a first member; a personal tenant gets a Personal Workspace instead. It works inside
-- the new tenant, as `system`, writes the first row of its trail, and leaves it before it returns.
create function rowhouse.found_tenant(
  id uuid, slug text, name text, kind text, plan text, workspace uuid, owner uuid default null, request_id text default null)
returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  system constant uuid := gen_random_uuid();
begin
  perform rowhouse_private.refuse_while_bound();
  insert into rowhouse.tenants (id, slug, name, kind, plan) values (id, slug, name, kind, plan);
  perform rowhouse_private.open(id, null, format('w;system;{};{%s};{};{}', system));
  insert into rowhouse.principals (tenant_id, id, kind)
  values (found_tenant.id, found_tenant.id, 'tenant'), (found_tenant.id, system, 'system'), (found_tenant.id, gen_random_uuid(), 'job');
  if owner is not null then
    insert into rowhouse.tenant_members (tenant_id, user_id, role) values (id, owner, 'owner');
  end if;
  insert into rowhouse.workspaces (tenant_id, id, kind, name, owner_id)
  select found_tenant.id, workspace,
    case when found_tenant.kind = 'personal' and owner is not null then 'personal' else 'tenant' end,
    case when found_tenant.kind = 'personal' and owner is not null then 'Personal Workspace' else found_tenant.name end,
    case when found_tenant.kind = 'personal' then owner end;
  insert into rowhouse.audit_log (tenant_id, id, action, object_id, workspace_id, request_id)
  values (found_tenant.id, gen_random_uuid(), 'tenants.create', found_tenant.id, workspace, request_id);
  perform set_config(setting, '', true)
  from unnest('{app.tenant_id,app.user_id,app.context,app.seal}'::text[]) setting;
end
$$;

-- The principals of a tenant that are not people: which id to enter with. Answers for any tenant, to the platform only.
create function rowhouse.service_principal(tenant uuid, kind text) returns uuid
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select l.principal_id from rowhouse_private.liveness l
    where l.tenant_id = tenant and l.kind = service_principal.kind and l.kind = any ('{system,job}'));
end
$$;

grant execute on function rowhouse.found_tenant, rowhouse.service_principal to rowhouse_platform;
grant execute on function rowhouse.own_key_hash to rowhouse_app;
grant execute on function rowhouse_private.principal_added, rowhouse_private.member_changed, rowhouse_private.team_changed,
  rowhouse_private.membership_changed, rowhouse_private.projects_changed, rowhouse_private.key_changed
to rowhouse_owner;

set local role rowhouse_owner;

create trigger principal_added after insert on rowhouse.principals
for each row execute function rowhouse_private.principal_added();
create trigger member_changed after insert or update or delete on rowhouse.tenant_members
for each row execute function rowhouse_private.member_changed();
create trigger team_changed after insert or update on rowhouse.teams
for each row execute function rowhouse_private.team_changed();
create trigger team_members_changed after insert or delete on rowhouse.team_members
for each row execute function rowhouse_private.membership_changed();
create trigger roles_changed after insert or update or delete on rowhouse.user_project_roles
for each row execute function rowhouse_private.membership_changed();
create trigger projects_added after insert on rowhouse.projects
referencing new table as new_rows
for each statement execute function rowhouse_private.projects_changed();
create trigger projects_changed after update on rowhouse.projects
referencing new table as new_rows
for each statement execute function rowhouse_private.projects_changed();
create trigger key_changed after insert or update of permissions, scopes, expires_at, revoked_at on rowhouse.api_keys
for each row execute function rowhouse_private.key_changed();

reset role;
revoke create on schema rowhouse, rowhouse_private from rowhouse_definer;
