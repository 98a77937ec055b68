-- E01, E06. Only an index that begins with the tenant keeps others' rows out of the search.
select
  'warning' as level,
  t.name as object,
  format('has no index that begins with %I', t.col) as what,
  'Every statement walks over the rows of all tenants: it is slow, and time and EXPLAIN ANALYZE tell how many there are.' as why,
  format('create index on %s (%I)', t.name, t.col) as mend
from tenant_table t
where t.rls
  and t.attnum > 0
  and t.kind = 'r'
  and not exists (select from index_of i where i.relation = t.oid and i.leads = t.attnum)
union all
select
  'info',
  format('index %s', i.name),
  format('on %s does not begin with %I', i.table_name, i.col),
  'It finds other tenants'' rows first and leaves them to the policy; whether it found some can be told by time.',
  format('Make it again with %I in front', i.col)
from index_of i
where i.leads <> i.tenant
  and not i.is_unique -- unique-without-tenant
  and not i.is_exclusion
