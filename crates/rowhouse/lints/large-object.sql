-- B11. Large objects have owners and rights, but no rows and no policies: tenants who share a login share them.
select distinct
  'warning' as level,
  'large objects' as object,
  case when x.grantee = 0 then 'can be read or written by everybody' else format('can be read or written by %I, for all tenants alike', pg_get_userbyid(x.grantee)) end as what,
  'Row-level security knows no large objects. Whoever has the number of one has its content.' as why,
  'Keep contents in a bytea column of a table with policies; then revoke execute on the lo_* functions from public.' as mend
from pg_largeobject_metadata l, aclexplode(coalesce(l.lomacl, acldefault('L', l.lomowner))) x
where x.grantee in (select oid from app_grantee)
  and exists (select from tenant_table)
union all
select
  'error',
  'setting lo_compat_privileges',
  'is on: nobody is asked for a right to a large object',
  'Every login reads and writes every large object.',
  'alter system reset lo_compat_privileges'
where current_setting('lo_compat_privileges')::boolean
