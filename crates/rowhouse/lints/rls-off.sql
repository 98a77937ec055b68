-- A08. Policies that nobody asks, because row-level security is off.
select
  'error' as level,
  t.name as object,
  'has policies, but row-level security is off: none of them is asked' as what,
  'A policy does nothing until row-level security is enabled for its table; everybody with a right sees every row.' as why,
  format('alter table %s enable row level security, force row level security', t.name) as mend
from tenant_table t
where not t.rls
  and coalesce(t.mode, 'enforce') = 'enforce'
  and exists (select from pg_policy p where p.polrelid = t.oid)
