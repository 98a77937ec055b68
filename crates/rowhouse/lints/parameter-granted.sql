-- C14. Parameters that a superuser keeps for himself, given to an application.
select distinct
  'error' as level,
  format('parameter %s', p.parname) as object,
  format('may be set by %s', case x.grantee when 0 then 'everybody' else format('%I', pg_get_userbyid(x.grantee)) end) as what,
  'It switches off triggers and foreign keys, or loads code: both go around the policies.' as why,
  format('revoke set on parameter %s from %s', p.parname,
    case x.grantee when 0 then 'public' else format('%I', pg_get_userbyid(x.grantee)) end) as mend
from pg_parameter_acl p, aclexplode(p.paracl) x
where x.grantee in (select oid from app_grantee)
  and lower(p.parname) in ('session_replication_role', 'session_preload_libraries', 'shared_preload_libraries',
    'dynamic_library_path', 'extension_control_path', 'allow_system_table_mods')
  and exists (select from app_login where not is_super)
