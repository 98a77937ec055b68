-- B04, B05. Functions of the wall: whose they are, how they are marked, and what they say. Bodies in SQL are stored
-- parsed and cannot be compared with their text; of those, owner and marks are looked at.
select
  'error' as level,
  format('function %s', f.name) as object,
  d.what,
  'Every policy believes what these functions say.' as why,
  'Find out who changed it, and restore it from the migrations: rowhouse migrate --dry-run on an empty database prints them.' as mend
from rowhouse r
join code f on f.nspname in ('rowhouse', 'rowhouse_private')
cross join lateral (
  select format('belongs to %I', pg_get_userbyid(f.owner)) as what
  where pg_get_userbyid(f.owner) <> 'rowhouse_definer'
  union all
  select 'is not the one of this version of Rowhouse: its body is in none of the migrations'
  where not f.is_parsed and position('$$' || f.prosrc || '$$' in r.migrations) = 0
  union all
  select 'is not from a migration of this version of Rowhouse'
  where position(format('create function %s.%s(', f.nspname, f.proname) in r.migrations) = 0
    and position(format('create or replace function %s.%s(', f.nspname, f.proname) in r.migrations) = 0
  union all
  select 'is marked LEAKPROOF'
  where f.is_leakproof
  union all
  select 'is IMMUTABLE or VOLATILE'
  where f.nspname = 'rowhouse'
    and f.proname in ('bound_tenant', 'writable_tenant', 'current_tenant', 'current_user_id', 'current_projects',
      'caller_principals', 'current_principal', 'caller_role', 'default_tenant')
    and f.volatility <> 's'
) d
where r.installed
