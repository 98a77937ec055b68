-- What a tenant is given before its first member comes, and how far that is: one row a tenant, gone on with by whoever
-- finds it. Class `admin`; the platform's to write, since it is what the platform grants.

grant create on schema rowhouse, rowhouse_private to rowhouse_definer;
set local role rowhouse_owner;

create table rowhouse.provisioning_runs (
  tenant_id uuid not null default rowhouse.default_tenant()
    constraint provisioning_runs_tenant references rowhouse.tenants (id),
  admin_email text, -- who is invited; null: nobody
  done text[] not null default '{}'
    constraint provisioning_runs_steps check (done <@ '{workspace,project,roles,quotas,storage,invitation}'::text[]),
  status text not null default 'running'
    constraint provisioning_runs_status check (status in ('running', 'done', 'failed')),
  attempts integer not null default 0, -- at the next step; those that failed
  last_error text -- a code, since a message might name somebody
    constraint provisioning_runs_error_is_a_code check (last_error ~ '^[a-z-]{1,50}$'),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint provisioning_runs_pkey primary key (tenant_id)
);

-- How much of each the tenant may have; a name without a row is without limit.
create table rowhouse.quotas (
  tenant_id uuid not null default rowhouse.default_tenant() constraint quotas_tenant references rowhouse.tenants (id),
  name text not null
    constraint quotas_name check (name in ('members', 'projects', 'keys', 'resources', 'storage_bytes')),
  amount bigint not null constraint quotas_amount check (amount >= 0),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint quotas_pkey primary key (tenant_id, name)
);

create table rowhouse.tenant_configs (
  tenant_id uuid not null default rowhouse.default_tenant()
    constraint tenant_configs_tenant references rowhouse.tenants (id),
  key text not null constraint tenant_configs_key_form check (key ~ '^[a-z][a-z0-9_.]{0,99}$'),
  value jsonb not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint tenant_configs_pkey primary key (tenant_id, key)
);

do $$
declare
  admin text;
begin
  foreach admin in array '{provisioning_runs,quotas,tenant_configs}'::text[] loop
    perform rowhouse.raise_wall(format('rowhouse.%I', admin)::regclass, 'admin', 'enforce');
    -- A tenant does not widen what it was granted, nor point its storage at somebody else's.
    execute format('drop policy managers on rowhouse.%I', admin);
    execute format('create trigger touch before update on rowhouse.%I for each row execute function rowhouse_private.touch()',
      admin);
  end loop;
end
$$;
drop policy inside on rowhouse.provisioning_runs; -- it holds an address
grant select on rowhouse.quotas, rowhouse.tenant_configs to rowhouse_app;
grant select, insert (tenant_id, admin_email), update (done, status, attempts, last_error)
on rowhouse.provisioning_runs to rowhouse_platform;
grant select, insert (tenant_id, name, amount), update (amount) on rowhouse.quotas to rowhouse_platform;
grant select, insert (tenant_id, key, value), update (value) on rowhouse.tenant_configs to rowhouse_platform;

set local role rowhouse_definer;

create function rowhouse_private.provisioning_started() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into rowhouse.jobs (tenant_id, kind, id, due_at)
  values (new.tenant_id, 'provision', new.tenant_id, clock_timestamp());
  return null;
end
$$;
grant execute on function rowhouse_private.provisioning_started to rowhouse_owner;

set local role rowhouse_owner;
create trigger provisioning_started after insert on rowhouse.provisioning_runs
for each row execute function rowhouse_private.provisioning_started();
create trigger provisioning_resumed after update of status on rowhouse.provisioning_runs
for each row when (old.status = 'failed' and new.status = 'running')
execute function rowhouse_private.provisioning_started();

reset role;
revoke create on schema rowhouse, rowhouse_private from rowhouse_definer;
