-- A07. A table that says by a column whose its rows are, and that everybody reads whole.
select
  'error' as level,
  t.name as object,
  format('holds rows of tenants (column %I) without row-level security', t.col) as what,
  'Whoever has a right on the table has it on the rows of all tenants.' as why,
  format('alter table %s enable row level security, force row level security; then create a restrictive policy on %I for all commands', t.name, t.col) as mend
from tenant_table t
where not t.rls
  and t.attnum > 0
  and t.mode is null
  and t.oid in (select oid from exposed)
  and not exists (select from pg_policy p where p.polrelid = t.oid)
  -- Partitions and heirs of a table with policies: partition-open.
  and not exists (
    select
    from pg_inherits i
    join tenant_table parent on parent.oid = i.inhparent and parent.rls
    where i.inhrelid = t.oid)
