-- A12. `or current_setting('app.tenant_id', true) is null`: whoever forgets the context sees everything.
select
  'error' as level,
  format('policy %I on %s', p.name, p.table_name) as object,
  'opens when the context is not set' as what,
  'A forgotten SET, or a RESET by an attacker, shows the rows of all tenants. Without a context there should be no row, or an error.' as why,
  'Take the alternative out of the condition; whoever needs all rows gets a role of his own, and a policy to that role.' as mend
from policy p
join pg_policy s on s.oid = p.oid
cross join lateral (
  -- Deparsed only where it calls current_setting() and has an OR.
  select coalesce(pg_get_expr(s.polqual, s.polrelid), '') || ' ; ' || coalesce(pg_get_expr(s.polwithcheck, s.polrelid), '') as text
  where concat(s.polqual, s.polwithcheck) ~ ':funcid (2077|3294) '
    and concat(s.polqual, s.polwithcheck) like '%{BOOLEXPR :boolop or %'
) e
where e.text ~* 'current_setting\([^()]*\)[^()]*\)*( IS NULL| = ''''::text)'
  and not exists (
    select
    from clause f
    where f.relation = p.relation and f.oid <> p.oid and not f.is_permissive and f.asks = 4 and f.roles = '{0}'
      and p.is_permissive)
