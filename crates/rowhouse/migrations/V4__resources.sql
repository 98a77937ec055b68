-- Resources: the envelope around what a tenant's people make, and who among them may do what with it. Class `content`: behind
-- the floor, and the platform has no right to it at all. A migration alone leaves both tables in shadow; `seed`, `up`
-- and `tables mode` enforce them.

grant create on schema rowhouse, rowhouse_private to rowhouse_definer;
set local role rowhouse_owner;

create table rowhouse.resources (
  tenant_id uuid not null default rowhouse.default_tenant() constraint resources_tenant references rowhouse.tenants (id),
  id uuid not null,
  type text not null constraint resources_type check (type in ('prompt', 'collection', 'model', 'integration', 'tag')),
  title text not null,
  payload jsonb not null default '{}',
  visibility text not null default 'tenant'
    constraint resources_visibility check (visibility in ('private', 'team', 'project', 'tenant')),
  workspace_id uuid not null,
  team_id uuid,
  project_id uuid,
  owner_id uuid not null default rowhouse.current_principal(),
  -- whom it is meant for: the one id that has to be among the caller's
  audience uuid not null generated always as (
    case visibility
      when 'tenant' then tenant_id
      when 'team' then coalesce(team_id, owner_id) -- without one it is refused below, by name
      when 'project' then coalesce(project_id, owner_id)
      else owner_id
    end) stored,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz,
  constraint resources_pkey primary key (tenant_id, id),
  constraint resources_workspace foreign key (tenant_id, workspace_id) references rowhouse.workspaces (tenant_id, id),
  constraint resources_team foreign key (tenant_id, team_id) references rowhouse.teams (tenant_id, id),
  constraint resources_project foreign key (tenant_id, project_id) references rowhouse.projects (tenant_id, id),
  constraint resources_owner foreign key (tenant_id, owner_id) references rowhouse.principals (tenant_id, id),
  constraint resources_visible_to_a_team check (visibility <> 'team' or team_id is not null),
  constraint resources_visible_to_a_project check (visibility <> 'project' or project_id is not null)
);
create index resources_by_update on rowhouse.resources (tenant_id, updated_at desc, id desc);
-- A list asks for the rows of each audience and each owner among its caller's, and what it may be filtered by leads to the
-- audience. There are no nulls: `nulls last` is an order that the index above does not have, or who sees three rows of a million
-- would read the million in its order.
create index resources_by_audience on rowhouse.resources (tenant_id, audience, updated_at desc nulls last, id desc nulls last);
create index resources_by_owner on rowhouse.resources (tenant_id, owner_id, updated_at desc nulls last, id desc nulls last);
create index resources_by_workspace on rowhouse.resources
  (tenant_id, workspace_id, audience, updated_at desc nulls last, id desc nulls last);
create index resources_by_type on rowhouse.resources
  (tenant_id, type, audience, updated_at desc nulls last, id desc nulls last);
create index resources_by_visibility on rowhouse.resources
  (tenant_id, visibility, audience, updated_at desc nulls last, id desc nulls last);

create table rowhouse.resource_acl (
  tenant_id uuid not null default rowhouse.default_tenant() constraint resource_acl_tenant references rowhouse.tenants (id),
  resource_id uuid not null,
  principal_id uuid not null,
  access text not null constraint resource_acl_access check (access in ('read', 'write', 'admin')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint resource_acl_pkey primary key (tenant_id, resource_id, principal_id),
  constraint resource_acl_resource foreign key (tenant_id, resource_id) references rowhouse.resources (tenant_id, id),
  constraint resource_acl_principal foreign key (tenant_id, principal_id) references rowhouse.principals (tenant_id, id)
);
create index resource_acl_by_principal on rowhouse.resource_acl (tenant_id, principal_id, resource_id);

set local role rowhouse_definer;

-- Stands in a list as floor_first() does in a floor: it runs while the plan is made, and is gone from it. An audience is one row
-- or a million, and behind the wall sorting costs nothing: planned for the average, all rows of the largest would be read by a
-- bitmap and sorted for the first page. Without bitmaps, it is read in the order of its index, and ends with its last row.
create function rowhouse.rows_in_order() returns boolean
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  if current_setting('enable_bitmapscan') <> 'off' then
    perform set_config('enable_bitmapscan', 'off', true);
  end if;
  return true;
end
$$;
grant execute on function rowhouse.rows_in_order to rowhouse_app;

-- May the caller say who else may: is it the owner's, or administered, or by its ACL. Asks as the caller, whom the policies
-- of `resources` bind; it stands in a function since a policy that leads back to its own table is refused.
create function rowhouse.may_share(tenant uuid, resource uuid) returns boolean
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  return exists (
    select from rowhouse.resources r
    where r.tenant_id = tenant and r.tenant_id = rowhouse.current_tenant() and r.id = resource
      and (r.owner_id = any (rowhouse.caller_principals())
        or r.audience = any (rowhouse.caller_administers())
        or rowhouse.caller_role() = 'job'
        or exists (
          select from rowhouse.resource_acl a
          where a.tenant_id = r.tenant_id and a.resource_id = r.id and a.access = 'admin'
            and a.principal_id = any (rowhouse.caller_principals()))));
end
$$;

-- May the caller put something into this workspace: is it the whole tenant's, its own, or a team's of its. Managers use
-- every team's, and the keys of a personal tenant the workspace of its person.
create function rowhouse.may_use_workspace(tenant uuid, workspace uuid) returns boolean
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  return exists (
    select from rowhouse.workspaces w
    where w.tenant_id = tenant and w.tenant_id = rowhouse.current_tenant() and w.id = workspace and w.deleted_at is null
      and (w.kind = 'tenant'
        or w.owner_id = any (rowhouse.caller_principals())
        or w.team_id = any (rowhouse.caller_principals())
        or w.kind = 'team' and rowhouse.caller_role() = any ('{owner,admin}')
        or rowhouse.caller_role() = any ('{key,tenant}')
          and exists (select from rowhouse.tenants t where t.id = w.tenant_id and t.kind = 'personal')));
end
$$;

-- What a policy cannot say, since it sees the old row or the new one: who may be changed by whom to be seen by whom. Only
-- where the wall stands: not for whom row-level security does not bind, and in shadow nothing is refused.
create function rowhouse_private.resource_shared() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if not row_security_active(tg_relid)
    or not exists (
    select from rowhouse.managed_tables m
    where m.schema_name = 'rowhouse' and m.table_name = 'resources' and m.mode = 'enforce')
  then
    return new;
  elsif not rowhouse.may_share(old.tenant_id, old.id) then
    raise exception 'who sees the resource is for those to say who administer it' using errcode = '42501',
      schema = 'rowhouse', table = 'resources', constraint = 'resources_shared_by_its_administrators';
  elsif rowhouse.caller_role() = 'job' then
    return new;
  elsif new.workspace_id <> old.workspace_id and not rowhouse.may_use_workspace(new.tenant_id, new.workspace_id) then
    raise exception 'the caller puts nothing into this workspace' using errcode = '42501',
      schema = 'rowhouse', table = 'resources', constraint = 'resources_workspace_usable';
  elsif new.project_id is distinct from old.project_id
    and not coalesce(new.project_id = any (rowhouse.caller_edits()), true)
  then
    raise exception 'the caller puts nothing into this project' using errcode = '42501',
      schema = 'rowhouse', table = 'resources', constraint = 'resources_project_editable';
  elsif new.team_id is distinct from old.team_id
    and not coalesce(new.team_id = any (rowhouse.caller_principals()), true)
  then
    raise exception 'the caller is not in this team' using errcode = '42501',
      schema = 'rowhouse', table = 'resources', constraint = 'resources_team_of_the_caller';
  end if;
  return new;
end
$$;

grant execute on function rowhouse.may_share, rowhouse.may_use_workspace to rowhouse_app;
grant execute on function rowhouse_private.resource_shared to rowhouse_owner;

set local role rowhouse_owner;

select rowhouse.raise_wall('rowhouse.resources', 'content', 'shadow');
select rowhouse.raise_wall('rowhouse.resource_acl', 'content', 'shadow');

-- Who may do what inside the tenant (ADR 010), in place of the policy that lets everybody.
drop policy inside on rowhouse.resources;
drop policy inside on rowhouse.resource_acl;

-- The second floor: what lies in a project is not there for whoever is not in it.
create policy project_floor on rowhouse.resources as restrictive for all to rowhouse_enforced
using (project_id is null or rowhouse.pair(tenant_id, project_id) = any ((select rowhouse.projects_inside())::text[]))
with check (project_id is null or rowhouse.pair(tenant_id, project_id) = any ((select rowhouse.projects_inside())::text[]));
select rowhouse.set_mode('rowhouse.resources', 'shadow'); -- which notes that there is one more

-- Cheap terms first: what a statement does not need is not worked out. The entries of the ACL are asked for row by row, or once
-- for all rows, as the planner sees fit: `exists` leaves it the choice.
create policy reading on rowhouse.resources for select to rowhouse_app
using (
  rowhouse.pair(tenant_id, audience) = any ((select rowhouse.audiences_inside())::text[])
  or rowhouse.pair(tenant_id, owner_id) = any ((select rowhouse.principals_inside())::text[])
  or exists (
    select from rowhouse.resource_acl a
    where a.tenant_id = resources.tenant_id and a.resource_id = resources.id
      and a.principal_id = any ((select rowhouse.ids(4))::uuid[]) -- for its index
      and rowhouse.pair(a.tenant_id, a.principal_id) = any ((select rowhouse.principals_inside())::text[]))
  or (tenant_id, true) = (select rowhouse.bound_tenant(), rowhouse.caller_role() = 'job'));

create policy writing on rowhouse.resources for update to rowhouse_app
using (
  rowhouse.pair(tenant_id, owner_id) = any ((select rowhouse.principals_inside())::text[])
  or rowhouse.pair(tenant_id, audience) = any ((select rowhouse.edits_inside())::text[])
  or exists (
    select from rowhouse.resource_acl a
    where a.tenant_id = resources.tenant_id and a.resource_id = resources.id
      and a.principal_id = any ((select rowhouse.ids(4))::uuid[]) -- for its index
      and rowhouse.pair(a.tenant_id, a.principal_id) = any ((select rowhouse.principals_inside())::text[])
      and a.access = any ('{write,admin}'::text[]))
  or (tenant_id, true) = (select rowhouse.bound_tenant(), rowhouse.caller_role() = 'job'))
with check (true); -- what it becomes is the trigger's to look at: it may be given away

create policy making on rowhouse.resources for insert to rowhouse_app
with check (
  rowhouse.may_use_workspace(tenant_id, workspace_id)
  and (project_id is null or rowhouse.pair(tenant_id, project_id) = any ((select rowhouse.edits_inside())::text[]))
  and (team_id is null or rowhouse.pair(tenant_id, team_id) = any ((select rowhouse.principals_inside())::text[]))
  or (tenant_id, true) = (select rowhouse.bound_tenant(), rowhouse.caller_role() = 'job'));

create policy reading on rowhouse.resource_acl for select to rowhouse_app using (true);
create policy adding on rowhouse.resource_acl for insert to rowhouse_app with check (rowhouse.may_share(tenant_id, resource_id));
create policy changing on rowhouse.resource_acl for update to rowhouse_app using (rowhouse.may_share(tenant_id, resource_id));
create policy removing on rowhouse.resource_acl for delete to rowhouse_app using (rowhouse.may_share(tenant_id, resource_id));

-- Not when a row was made, nor by whom: those are the defaults' to say.
grant select, insert (tenant_id, id, type, title, payload, visibility, workspace_id, team_id, project_id),
  update (type, title, payload, visibility, workspace_id, team_id, project_id, owner_id, deleted_at, updated_at)
on rowhouse.resources to rowhouse_app;
grant select, insert, update (access), delete on rowhouse.resource_acl to rowhouse_app;

create trigger shared before update on rowhouse.resources
for each row
when ((old.visibility, old.team_id, old.project_id, old.workspace_id, old.owner_id)
  is distinct from (new.visibility, new.team_id, new.project_id, new.workspace_id, new.owner_id))
execute function rowhouse_private.resource_shared();
create trigger touch before update on rowhouse.resources for each row execute function rowhouse_private.touch();
create trigger touch before update on rowhouse.resource_acl for each row execute function rowhouse_private.touch();

reset role;
revoke create on schema rowhouse, rowhouse_private from rowhouse_definer;
