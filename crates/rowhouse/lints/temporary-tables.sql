-- C12, B05. Postgres lets everybody make temporary tables, until that is revoked.
select
  'warning' as level,
  format('database %I', current_database()) as object,
  format('lets %s make temporary tables', case x.grantee when 0 then 'everybody' else format('%I', pg_get_userbyid(x.grantee)) end) as what,
  'A temporary table stands before the real one of its name: left on a pooled connection, it catches what the next tenant writes.' as why,
  format('revoke temporary on database %I from %s', current_database(), case x.grantee when 0 then 'public' else format('%I', pg_get_userbyid(x.grantee)) end) as mend
from pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) x
where d.datname = current_database()
  and x.privilege_type = 'TEMPORARY'
  and x.grantee in (select oid from app_grantee)
  and exists (select from tenant_table)
  and exists (select from app_login where not is_super)
