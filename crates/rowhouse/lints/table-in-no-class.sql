-- A07, B10. A table without tenants that every tenant writes. Reference data that is only read is no finding.
select distinct on (c.oid)
  'warning' as level,
  format('%I.%I', n.nspname, c.relname) as object,
  format('can be written by the application, and has neither a tenant''s column nor policies (%s)', x.privileges) as what,
  'What one tenant writes there, all others read and change: copies of content, queues and caches are found in such tables.' as why,
  format('Give it a tenant''s column and policies; or, for reference data: revoke insert, update, delete on %I.%I from ..', n.nspname, c.relname) as mend
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
cross join lateral (
  select string_agg(distinct privilege_type, ', ' order by privilege_type) as privileges
  from (
    select a.privilege_type, a.grantee from aclexplode(c.relacl) a
    union all
    select a.privilege_type, a.grantee from pg_attribute t, aclexplode(t.attacl) a where t.attrelid = c.oid and t.attacl is not null
  ) every_right
  where privilege_type in ('INSERT', 'UPDATE', 'DELETE') and grantee in (select oid from app_grantee)
) x
where c.relkind in ('r', 'p')
  and c.oid >= 16384
  and x.privileges is not null
  and c.oid not in (select oid from tenant_table)
  -- With Rowhouse there is a list, and rowhouse-unclassified asks it.
  and not exists (
    select
    from pg_class l
    join pg_namespace ln on ln.oid = l.relnamespace
    where ln.nspname = 'rowhouse' and l.relname = 'managed_tables')
  and exists (select from tenant_table)
  and not exists (
    select
    from pg_depend d
    where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
order by c.oid
