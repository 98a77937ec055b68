-- Resources: the envelope around what a tenant's people make, and who among them may see it. Class `content`: behind
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
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz,
  constraint resources_pkey primary key (tenant_id, id),
  constraint resources_workspace foreign key (tenant_id, workspace_id) references rowhouse.workspaces (tenant_id, id),
  constraint resources_team foreign key (tenant_id, team_id) references rowhouse.teams (tenant_id, id),
  constraint resources_project foreign key (tenant_id, project_id) references rowhouse.projects (tenant_id, id),
  constraint resources_owner foreign key (tenant_id, owner_id) references rowhouse.principals (tenant_id, id)
);
create index resources_by_update on rowhouse.resources (tenant_id, updated_at desc, id desc);
create index resources_by_workspace on rowhouse.resources (tenant_id, workspace_id, updated_at desc, id desc);
create index resources_by_type on rowhouse.resources (tenant_id, type, updated_at desc, id desc);
create index resources_by_visibility on rowhouse.resources (tenant_id, visibility, updated_at desc, id desc);

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

select rowhouse.raise_wall('rowhouse.resources', 'content', 'shadow');
select rowhouse.raise_wall('rowhouse.resource_acl', 'content', 'shadow');

-- Not when a row was made, nor by whom: those are the defaults' to say.
grant select, insert (tenant_id, id, type, title, payload, visibility, workspace_id, team_id, project_id),
  update (type, title, payload, visibility, workspace_id, team_id, project_id, owner_id, deleted_at, updated_at)
on rowhouse.resources to rowhouse_app;
grant select, insert, update (access), delete on rowhouse.resource_acl to rowhouse_app;

create trigger touch before update on rowhouse.resources for each row execute function rowhouse_private.touch();
create trigger touch before update on rowhouse.resource_acl for each row execute function rowhouse_private.touch();

reset role;
revoke create on schema rowhouse, rowhouse_private from rowhouse_definer;
