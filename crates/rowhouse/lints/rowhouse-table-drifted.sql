-- B15. A table that Rowhouse keeps, and what became of it.
select 'error' as level, m.name as object, d.what,
  'The list says that the wall stands here, and it does not.' as why, d.mend
from managed m
cross join lateral (
  select 'is not there any more: dropped, renamed or moved' as what,
    format('If that was meant: delete from rowhouse.managed_tables where format(''%%I.%%I'', schema_name, table_name) = %L', m.name) as mend
  where m.oid is null
  union all
  select 'has row-level security that is not forced', format('alter table %s force row level security', m.name)
  where m.class <> 'shared' and not m.forced
  union all
  select 'has row-level security switched off, although its mode is not off',
    format('alter table %s enable row level security', m.name)
  where m.class <> 'shared' and m.mode <> 'off' and not m.rls
  union all
  select format('belongs to %I', pg_get_userbyid(m.owner)), format('alter table %s owner to rowhouse_owner', m.name)
  where pg_get_userbyid(m.owner) <> 'rowhouse_owner'
  union all
  select format('lets %s change whose a row is', case x.grantee when 0 then 'everybody' else format('%I', pg_get_userbyid(x.grantee)) end),
    format('revoke update (tenant_id) on %s from %s; revoke update on %1$s from %2$s, and grant it on the other columns', m.name,
      case x.grantee when 0 then 'public' else format('%I', pg_get_userbyid(x.grantee)) end)
  from (
    select a.grantee from aclexplode(m.acl) a where a.privilege_type = 'UPDATE'
    union
    select a.grantee
    from pg_attribute t, aclexplode(t.attacl) a
    where t.attrelid = m.oid and t.attname = 'tenant_id' and a.privilege_type = 'UPDATE'
  ) x
  where m.class <> 'shared' and x.grantee <> m.owner and x.grantee in (select oid from app_grantee)
  union all
  select format('is shared, and lets %s write it', case x.grantee when 0 then 'everybody' else format('%I', pg_get_userbyid(x.grantee)) end),
    format('revoke insert, update, delete on %s from %s', m.name,
      case x.grantee when 0 then 'public' else format('%I', pg_get_userbyid(x.grantee)) end)
  from (
    select distinct a.grantee
    from aclexplode(m.acl) a
    where a.privilege_type in ('INSERT', 'UPDATE', 'DELETE')
  ) x
  where m.class = 'shared' and x.grantee <> m.owner and x.grantee in (select oid from app_grantee)
) d
