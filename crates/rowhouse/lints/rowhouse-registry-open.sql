-- The registry stands outside of tenants: its policies are to the platform, and the application sees the tenant that it
-- is bound to.
select
  'error' as level,
  format('rowhouse.%I', c.relname) as object,
  d.what,
  'It says which tenants, users and keys there are.' as why,
  d.mend
from rowhouse r
join pg_namespace n on n.nspname = 'rowhouse'
join pg_class c on c.relnamespace = n.oid and c.relkind = 'r'
  and c.relname in ('tenants', 'users', 'locator', 'operator_tokens', 'platform_audit', 'managed_tables')
cross join lateral (
  select 'has row-level security switched off or not forced' as what,
    format('alter table rowhouse.%I enable row level security, force row level security', c.relname) as mend
  where not (c.relrowsecurity and c.relforcerowsecurity)
  union all
  select format('has a policy %I that lets the application in', p.polname), format('drop policy %I on rowhouse.%I', p.polname, c.relname)
  from pg_policy p
  where p.polrelid = c.oid
    and p.polpermissive
    and p.polroles && array[0, to_regrole('rowhouse_app')::oid, to_regrole('rowhouse_enforced')::oid]
    and not (c.relname = 'managed_tables' and p.polname = 'anyone' and p.polcmd = 'r')
    and not (c.relname = 'tenants' and p.polname = 'bound_one' and p.polcmd = 'r'
      and pg_get_expr(p.polqual, p.polrelid) = e'((id, true) = ( SELECT rowhouse.bound_tenant() AS bound_tenant,\n    true))')
) d
where r.installed
