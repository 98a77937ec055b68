-- What `rowhouse probe` found, run by run. Class registry: it tells of tables, never of rows, and belongs to no tenant.

set local role rowhouse_owner;

create table rowhouse.probes (
  id uuid not null constraint probes_pkey primary key,
  verdict text not null constraint probes_verdict check (verdict in ('held', 'leak')),
  attempts integer not null,
  leaks integer not null,
  not_tried integer not null,
  seconds double precision not null,
  catalogue_hash text not null, -- SHA-256, in hex digits, of what the wall is made of
  server_version text not null,
  detail jsonb not null default '{}', -- what leaked
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index probes_by_age on rowhouse.probes (created_at desc, id desc);
alter table rowhouse.probes enable row level security, force row level security;
create policy platform on rowhouse.probes for all to rowhouse_platform, rowhouse_definer, rowhouse_migrator
using (true) with check (true);
-- Written by the owner, who probes. The platform looks.
grant select on rowhouse.probes to rowhouse_platform;
create trigger touch before update on rowhouse.probes for each row execute function rowhouse_private.touch();

reset role;
