-- A14. A row without a tenant is nobody's, or everybody's.
select
  'warning' as level,
  t.name as object,
  format('has rows without a tenant, or may have them: %I may be null', t.col) as what,
  'A null equals nothing: nobody finds such rows, until a policy that allows for nulls shows them to all.' as why,
  format('alter table %s alter column %I set not null', t.name, t.col) as mend
from tenant_table t
join pg_attribute a on a.attrelid = t.oid and a.attnum = t.attnum
where t.attnum > 0 and t.rls and not a.attnotnull
