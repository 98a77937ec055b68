-- What a tenant runs of its resources, and as whom its keys speak. Class `admin`. And who reads of a resource in the trail.
--
-- Whose a deployment is, its resource says: who sees the resource sees it, who edits the resource changes it, and the floor
-- of a project holds for both. So it has no owner or visibility of its own that could differ; its project is the resource's,
-- kept so by triggers, since who deletes a project stops what runs of it without seeing it. The platform sees which there are,
-- and changes none.

grant create on schema rowhouse, rowhouse_private to rowhouse_definer;
set local role rowhouse_owner;

create table rowhouse.deployments (
  tenant_id uuid not null default rowhouse.default_tenant() constraint deployments_tenant references rowhouse.tenants (id),
  id uuid not null,
  resource_id uuid not null,
  project_id uuid,
  environment text not null constraint deployments_environment check (environment in ('SANDBOX', 'PRODUCTION')),
  status text not null default 'pending'
    constraint deployments_status check (status in ('pending', 'active', 'stopped', 'failed')),
  created_by uuid not null default rowhouse.current_principal(),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz,
  constraint deployments_pkey primary key (tenant_id, id),
  constraint deployments_resource foreign key (tenant_id, resource_id) references rowhouse.resources (tenant_id, id),
  constraint deployments_project foreign key (tenant_id, project_id) references rowhouse.projects (tenant_id, id),
  constraint deployments_creator foreign key (tenant_id, created_by) references rowhouse.principals (tenant_id, id)
);
create unique index deployments_place on rowhouse.deployments (tenant_id, resource_id, environment) where deleted_at is null;
create index deployments_by_age on rowhouse.deployments (tenant_id, created_at desc, id desc);

create table rowhouse.persona_mappings (
  tenant_id uuid not null default rowhouse.default_tenant()
    constraint persona_mappings_tenant references rowhouse.tenants (id),
  id uuid not null,
  api_key_id uuid not null,
  persona_id uuid not null, -- the application's own: it holds no right here
  name text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint persona_mappings_pkey primary key (tenant_id, id),
  constraint persona_mappings_speaker foreign key (tenant_id, api_key_id) references rowhouse.api_keys (tenant_id, id),
  constraint persona_mappings_once unique (tenant_id, api_key_id, persona_id)
);
create index persona_mappings_by_age on rowhouse.persona_mappings (tenant_id, created_at desc, id desc);
create index persona_mappings_by_persona on rowhouse.persona_mappings (tenant_id, persona_id, created_at desc, id desc);

set local role rowhouse_definer;

-- Does the caller see this resource? Asked as the caller, whom the policies of `resources` bind.
create function rowhouse.may_see(tenant uuid, resource uuid) returns boolean
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  return exists (
    select from rowhouse.resources r
    where r.tenant_id = tenant and r.tenant_id = rowhouse.current_tenant() and r.id = resource);
end
$$;

-- Who deploys a resource edits it: it is locked as if to be changed, which its own policies allow or not. So it is not
-- deleted at the same time, either.
create function rowhouse_private.deployment_changed() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  moves constant text[] := '{pending to active,pending to stopped,pending to failed,active to stopped,active to failed,'
    'stopped to active,failed to pending}';
  gone timestamptz;
begin
  select r.deleted_at, r.project_id into gone, new.project_id from rowhouse.resources r
  where r.tenant_id = new.tenant_id and r.id = new.resource_id
  for share;
  if not found then
    raise exception 'a resource is deployed by those who edit it' using errcode = '42501',
      schema = 'rowhouse', table = 'deployments', constraint = 'deployments_by_editors';
  elsif gone is not null and new.deleted_at is null and new.status = any ('{pending,active}') then
    raise exception 'the resource is deleted' using errcode = 'RH010';
  elsif tg_op = 'UPDATE' and new.status <> old.status and format('%s to %s', old.status, new.status) <> all (moves) then
    raise exception 'a deployment does not go from % to %', old.status, new.status using errcode = 'RH010';
  elsif tg_op = 'UPDATE' and new.deleted_at is not null and 'active' = any (array[old.status, new.status]) then
    raise exception 'a deployment that is active is stopped before it is deleted' using errcode = 'RH010';
  elsif tg_op = 'UPDATE' and new.deleted_at is null and old.deleted_at is not null then
    raise exception 'a deleted deployment stays deleted' using errcode = 'RH010';
  end if;
  return new;
end
$$;

-- Nor is its project. Deleting that changes what everybody in it may do, so whoever does it waits for the caller, and the caller
-- has waited for him.
create function rowhouse_private.deployment_placed() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if new.project_id is null or new.deleted_at is not null or new.status <> all ('{pending,active}') then
    return new;
  end if;
  perform rowhouse_private.refuse_snapshot();
  perform from rowhouse_private.liveness l
  where l.tenant_id = new.tenant_id and l.principal_id = rowhouse.current_principal()
  for share;
  perform from rowhouse.projects p
  where p.tenant_id = new.tenant_id and p.id = new.project_id and p.deleted_at is not null;
  if found then
    raise exception 'the project is deleted' using errcode = 'RH010';
  end if;
  return new;
end
$$;

-- What is deleted does not run, seen or not by whoever deletes it. Brought back, it is not started by itself.
create function rowhouse_private.resource_deleted() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  by_hand constant boolean := rowhouse.current_tenant() is null; -- by whoever mends the database, whom no floor binds
begin
  if by_hand then
    perform rowhouse_private.open_as_system(new.tenant_id);
  end if;
  perform rowhouse_private.still_in(new.tenant_id);
  with stopped as (
    update rowhouse.deployments d
    set status = 'stopped'
    where d.tenant_id = new.tenant_id and d.resource_id = new.id and d.deleted_at is null
      and d.status = any ('{pending,active}')
    returning d.id
  )
  insert into rowhouse.audit_log (tenant_id, id, action, object_id, resource_id)
  select new.tenant_id, gen_random_uuid(), 'deployments.stop', s.id, new.id
  from stopped s;
  if by_hand then
    perform rowhouse_private.close();
  end if;
  return null;
end
$$;

-- A deployment goes where its resource goes, also out of the sight of whoever moves it.
create function rowhouse_private.resource_moved() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform rowhouse_private.still_in(new.tenant_id);
  update rowhouse.deployments d
  set project_id = new.project_id
  where d.tenant_id = new.tenant_id and d.resource_id = new.id;
  return null;
end
$$;

-- What lies in a deleted project does not run either, seen or not by whoever deletes it. By the trigger's name it comes behind
-- projects_changed, which waits for those who are at work in the project.
create function rowhouse_private.project_deleted() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  with stopped as (
    update rowhouse.deployments d
    set status = 'stopped'
    from new_rows n
    where d.tenant_id = n.tenant_id and d.project_id = n.id and n.deleted_at is not null
      and d.deleted_at is null and d.status = any ('{pending,active}')
    returning d.tenant_id, d.id, d.project_id, d.resource_id
  )
  insert into rowhouse.audit_log (tenant_id, id, action, object_id, project_id, resource_id)
  select s.tenant_id, gen_random_uuid(), 'deployments.stop', s.id, s.project_id, s.resource_id
  from stopped s;
  return null;
end
$$;

create function rowhouse_private.persona_changed() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform rowhouse_private.managed_by_caller(case when tg_op = 'DELETE' then old.tenant_id else new.tenant_id end);
  if tg_op = 'INSERT' and exists (
    select from rowhouse.api_keys k
    where k.tenant_id = new.tenant_id and k.id = new.api_key_id and k.revoked_at is not null)
  then
    raise exception 'a key that was revoked speaks as nobody any more' using errcode = 'RH010';
  end if;
  return null;
end
$$;

grant execute on function rowhouse.may_see to rowhouse_app;
grant execute on function rowhouse_private.deployment_changed, rowhouse_private.deployment_placed,
  rowhouse_private.resource_deleted, rowhouse_private.resource_moved, rowhouse_private.project_deleted,
  rowhouse_private.persona_changed
to rowhouse_owner;

set local role rowhouse_owner;

select rowhouse.raise_wall('rowhouse.deployments', 'admin', 'enforce');
select rowhouse.raise_wall('rowhouse.persona_mappings', 'admin', 'enforce');

drop policy inside on rowhouse.deployments;
drop policy managers on rowhouse.deployments;
create policy by_resource on rowhouse.deployments for all to rowhouse_app -- and for changes there is the trigger
using (rowhouse.may_see(tenant_id, resource_id)) with check (rowhouse.may_see(tenant_id, resource_id));

-- A row of the trail tells of a project and of a resource: who does not see these, does not see the row, unless the deed is
-- his own. So whose rights end where a project's do reads of what he did, and not of the rest. Cheap terms first.
drop policy inside on rowhouse.audit_log;
create policy reading on rowhouse.audit_log for select to rowhouse_app
using (
  (tenant_id, true) = (select rowhouse.bound_tenant(), rowhouse.caller_role() = any ('{owner,admin,tenant,job}'::text[]))
  or (tenant_id, actor_id) = (select rowhouse.bound_tenant(), rowhouse.current_principal())
  or (project_id is null or rowhouse.pair(tenant_id, project_id) = any ((select rowhouse.projects_inside())::text[]))
    and (resource_id is null or rowhouse.may_see(tenant_id, resource_id)));
create policy adding on rowhouse.audit_log for insert to rowhouse_app with check (true);

create trigger deployment_changed before insert or update on rowhouse.deployments
for each row when (current_user <> 'rowhouse_definer') -- which stops and moves, and asks nobody
execute function rowhouse_private.deployment_changed();
create trigger deployment_placed before insert or update on rowhouse.deployments
for each row when (rowhouse.current_tenant() is not null)
execute function rowhouse_private.deployment_placed();
create trigger deployments_stopped after update of deleted_at on rowhouse.resources
for each row when (old.deleted_at is null and new.deleted_at is not null)
execute function rowhouse_private.resource_deleted();
create trigger deployments_moved after update of project_id on rowhouse.resources
for each row when (old.project_id is distinct from new.project_id and rowhouse.current_tenant() is not null)
execute function rowhouse_private.resource_moved();
create trigger projects_deleted after update on rowhouse.projects
referencing new table as new_rows
for each statement execute function rowhouse_private.project_deleted();
create trigger persona_changed after insert or update or delete on rowhouse.persona_mappings
for each row execute function rowhouse_private.persona_changed();
create trigger touch before update on rowhouse.deployments for each row execute function rowhouse_private.touch();
create trigger touch before update on rowhouse.persona_mappings for each row execute function rowhouse_private.touch();

grant select, update (status, project_id) on rowhouse.deployments to rowhouse_definer;
grant select on rowhouse.deployments to rowhouse_app, rowhouse_platform;
grant insert (tenant_id, id, resource_id, environment), update (status, deleted_at) on rowhouse.deployments to rowhouse_app;
grant select, insert (tenant_id, id, api_key_id, persona_id, name), update (name), delete on rowhouse.persona_mappings
to rowhouse_app, rowhouse_platform;

reset role;
revoke create on schema rowhouse, rowhouse_private from rowhouse_definer;
