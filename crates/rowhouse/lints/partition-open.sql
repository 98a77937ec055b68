-- B07. Policies of a partitioned table are asked when it is addressed, not when a partition is.
with recursive heir (root, oid) as (
  select t.oid, i.inhrelid
  from tenant_table t
  join pg_inherits i on i.inhparent = t.oid
  where t.rls
  union
  select h.root, i.inhrelid
  from heir h
  join pg_inherits i on i.inhparent = h.oid
)
select distinct on (c.oid)
  'error' as level,
  format('%I.%I', n.nspname, c.relname) as object,
  format('is a %s of %s and can be addressed directly, where it has no %s',
    case when c.relispartition then 'partition' else 'child' end, t.name,
    case when c.relrowsecurity then 'policy that asks for a tenant' else 'row-level security' end) as what,
  'A statement that names the partition asks the partition''s policies, not those of its parent.' as why,
  format('revoke all on %I.%I from public, and from whoever else has rights on it; or give it the row-level security and the policies of %s',
    n.nspname, c.relname, t.name) as mend
from heir h
join tenant_table t on t.oid = h.root
join pg_class c on c.oid = h.oid
join pg_namespace n on n.oid = c.relnamespace
where c.oid in (select oid from exposed)
  and (not c.relrowsecurity
    -- Row-level security without any policy lets nobody in.
    or exists (select from open_clause o where o.relation = c.oid))
order by c.oid
