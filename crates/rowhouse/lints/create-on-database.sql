-- B06. A schema of one's own is a place for tables and functions of one's own.
select
  'warning' as level,
  format('database %I', current_database()) as object,
  format('lets %s create schemas', case x.grantee when 0 then 'everybody' else format('%I', pg_get_userbyid(x.grantee)) end) as what,
  'In a schema of his own an attacker keeps tables that refer to rows of other tenants, and functions for others to run into.' as why,
  format('revoke create on database %I from %s', current_database(), case x.grantee when 0 then 'public' else format('%I', pg_get_userbyid(x.grantee)) end) as mend
from pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) x
where d.datname = current_database()
  and x.privilege_type = 'CREATE'
  and x.grantee in (select oid from app_grantee)
  and exists (select from tenant_table)
  and exists (select from app_login where not is_super)
