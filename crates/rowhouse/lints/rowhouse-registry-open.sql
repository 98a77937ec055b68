-- The registry stands outside of tenants: its policies are to the platform, and the application sees the tenant that it
-- is bound to.
select
  'error' as level,
  t.name as object,
  d.what,
  'It says which tenants, users and keys there are.' as why,
  d.mend
from rowhouse r
join registry_table t on true
join pg_class c on c.oid = t.oid
cross join lateral (
  select 'has row-level security switched off or not forced' as what,
    format('alter table %s enable row level security, force row level security', t.name) as mend
  where not (c.relrowsecurity and c.relforcerowsecurity)
  union all
  select format('has a policy %I that lets the application in', p.polname), format('drop policy %I on %s', p.polname, t.name)
  from pg_policy p
  where p.polrelid = c.oid
    and p.polpermissive
    and p.polroles && array[0, to_regrole('rowhouse_app')::oid, to_regrole('rowhouse_enforced')::oid]
    and not exists (
      select
      from page_policy g
      where g.relation = t.name
        and g.name = p.polname
        and g.cmd = case p.polcmd when 'r' then 'select' else 'all' end
        and g.found = regexp_replace(pg_get_expr(p.polqual, p.polrelid), '\s+', ' ', 'g'))
) d
where r.installed
