-- A07, B10. With Rowhouse, every relation that the application reaches is in a class; what is in none was forgotten.
select
  case when x.writes then 'error' else 'warning' end as level,
  format('%I.%I', n.nspname, c.relname) as object,
  format('can be %s by the application and is in no class', case when x.writes then 'written' else 'read' end) as what,
  'It has no wall: what is in it belongs to all tenants together.' as why,
  format('rowhouse tables protect %1$I.%2$I, or --shared %1$I.%2$I for reference data; or take the rights away', n.nspname, c.relname) as mend
from rowhouse r
join pg_class c on c.relkind in ('r', 'p', 'f', 'm') and c.oid >= 16384
join pg_namespace n on n.oid = c.relnamespace
cross join lateral (
  select count(*) > 0 as reaches, bool_or(privilege_type in ('INSERT', 'UPDATE', 'DELETE')) as writes
  from (
    select a.privilege_type, a.grantee from aclexplode(c.relacl) a
    union all
    select a.privilege_type, a.grantee from pg_attribute t, aclexplode(t.attacl) a where t.attrelid = c.oid and t.attacl is not null
  ) every_right
  where grantee in (select oid from app_grantee) and privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
) x
where r.list_is_known
  and x.reaches
  and c.oid not in (select oid from managed where oid is not null)
  and c.oid not in (select oid from registry_table) -- rowhouse-registry-open
  and c.oid is distinct from to_regclass('rowhouse.schema_history')
  and (n.nspname, c.relname) <> ('rowhouse_private', 'drop_owned_fails_here') -- by name: to_regclass() asks for USAGE
  and not exists (
    select
    from pg_depend d
    where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
