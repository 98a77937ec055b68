-- B09. A foreign server is a connection as somebody else, who meets other policies, or none.
select distinct
  'warning' as level,
  format('foreign server %I', s.srvname) as object,
  format('may be used by %s', case x.grantee when 0 then 'everybody' else format('%I', pg_get_userbyid(x.grantee)) end) as what,
  'Through it one connects as the user of its mapping; when it leads back to this server, past the policies.' as why,
  format('revoke usage on foreign server %I from %s', s.srvname, case x.grantee when 0 then 'public' else format('%I', pg_get_userbyid(x.grantee)) end) as mend
from pg_foreign_server s, aclexplode(s.srvacl) x
where x.privilege_type = 'USAGE' and x.grantee in (select oid from app_grantee)
union all
select
  'warning',
  format('user mapping for %s on server %I', case m.umuser when 0 then 'public' else format('%I', m.usename) end, m.srvname),
  'lets the application connect elsewhere as somebody else',
  'Through it one connects as the user of its mapping; when it leads back to this server, past the policies.',
  format('drop user mapping for %s server %I', case m.umuser when 0 then 'public' else format('%I', m.usename) end, m.srvname)
from pg_user_mappings m
where m.umuser in (select oid from app_grantee)
